"""Tracing: from a network's own forward and decode to its graph, without computing anything."""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor, nn

from nas.graph.constants import Constant, ConstantPool
from nas.graph.construction import construction
from nas.graph.fragments import Fragment, Frame, Slot, Value
from nas.graph.graph import Graph
from nas.graph.merge import merged
from nas.graph.symbols import TensorType
from nas.layers import Context, ElasticBatchNorm2d
from nas.models import PoseNet
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace

FRAGMENTS_PER_MODULE = 8192
"""How many calls of one module are remembered; the oldest is dropped first."""

TRIAL_CALLS = 512
"""After so many calls of a module it is judged whether remembering them pays."""


class Tracer:
    """Gives the graph of any architecture of a space.

    A copy of the network without weights runs on symbols. What a module does is recorded once per input
    shapes and settings; another architecture that calls it in the same way uses the same fragment.

    Args:
        space: a search space, or one architecture.
        skeleton: the joints to find, or the name of a shipped skeleton.
        anonymous: let modules that are built alike use each other's fragments, several times faster: enough
            to know what is computed, but names and weights in the graphs may be those of another module.
        network: what builds the network from space and skeleton.
    """

    def __init__(
        self,
        space: SearchSpace | Arch,
        skeleton: Skeleton | str,
        *,
        anonymous: bool = False,
        network: Callable[[Any, Any], nn.Module] = PoseNet,
    ) -> None:
        with torch.device("meta"):
            net: Any = network(space, skeleton)
        self._net = net.eval()
        self.skeleton: Skeleton = net.skeleton
        self._pool = ConstantPool()
        self._frames: list[Frame] = []
        self._anonymous = anonymous
        self._context = Context(values=_substitute(self._net, self._pool))
        self._memoise()

    @classmethod
    def of(cls, net: nn.Module) -> Self:
        """The tracer of a network that exists."""
        described: Any = net
        return cls(described.arch or described.space, described.skeleton, network=type(net))

    def __call__(self, arch: Arch, *, batch: int = 1) -> Graph:
        """The graph of one architecture, decode included.

        Args:
            arch: which one.
            batch: how many images it sees at once; what it computes (MACs) is counted for all of them.

        Raises:
            UnknownOperatorError: the network uses a torch function that has no operator record.
        """
        images = TensorType(torch.Size((batch, 3, *arch.resolution)), torch.float32)
        frame = Frame("", self._pool, [images])
        self._frames = [frame]
        with collector_paused():
            raw = self._net.in_context(frame.inputs[0], arch, self._context)
            fragment = merged(frame.close((raw, self._net.decode(raw, arch))))
        raw, decoded = fragment.form
        return Graph(
            arch=arch,
            skeleton=self.skeleton,
            fragment=fragment,
            images=images,
            named=self._named(decoded),
            raw_named=self._named(raw),
            anonymous=self._anonymous,
        )

    def _named(self, results: Mapping[str, Any]) -> dict[str, int | Constant]:
        return {
            name: value.index if isinstance(value, Slot) else self._constant(value)
            for name, value in results.items()
        }

    def _constant(self, value: Constant | Tensor) -> Constant:
        return value if isinstance(value, Constant) else self._pool.given(value)

    def _memoise(self) -> None:
        memories: defaultdict[Any, _Memory] = defaultdict(_Memory)
        modules = {name: module for name, module in self._net.named_modules() if name}
        kinds = {name: construction(module) if self._anonymous else name for name, module in modules.items()}
        for name, module in modules.items():
            module.__class__ = _directly_called(type(module))  # type: ignore[arg-type]
            for method in ("forward", "decode"):
                if hasattr(module, method):
                    memory = memories[kinds[name], method]
                    setattr(module, method, self._remembering(name, getattr(module, method), memory))

    def _remembering(self, scope: str, method: Callable[..., Any], memory: "_Memory") -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            frame = self._frames[-1]
            if memory.is_useless:
                with frame.inside(scope):
                    return method(*args, **kwargs)
            key: list[Any] = []
            values: list[Value] = []
            _flatten(args, key, values)
            if kwargs:
                _flatten((kwargs,), key, values)
            try:
                fragment = memory.find(call_key := tuple(key))
            except TypeError as error:
                raise TypeError(
                    f"module {scope!r} was called with settings without a hash: {error}"
                ) from None
            if fragment is None:
                fragment = self._record(scope, method, args, kwargs, values)
                memory.keep(call_key, fragment)
            return frame.call(fragment, values)

        return call

    def _record(
        self,
        scope: str,
        method: Callable[..., Any],
        args: Any,
        kwargs: Any,
        values: list[Value],
    ) -> Fragment:
        frame = Frame(scope, self._pool, [value.type for value in values])
        inputs = iter(frame.inputs)
        self._frames.append(frame)
        try:
            return merged(frame.close(method(*_replaced(args, inputs), **_replaced(kwargs, inputs))))
        finally:
            self._frames.pop()


@cache
def _directly_called(kind: type[nn.Module]) -> type[nn.Module]:
    """The class without torch's own way from a call to forward: no hook waits there, and it takes long."""

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    return type(kind.__name__, (kind,), {"__call__": call, "__module__": kind.__module__})


class _Memory:
    """The fragments of one module's calls."""

    def __init__(self) -> None:
        self._fragments: dict[Any, Fragment] = {}
        self._lookups = 0
        self._hits = 0
        self.is_useless = False
        """Whether calls hardly ever repeat; the module is then traced as part of its caller."""

    def find(self, key: Any) -> Fragment | None:
        fragment = self._fragments.get(key)
        self._lookups += 1
        self._hits += fragment is not None
        return fragment

    def keep(self, key: Any, fragment: Fragment) -> None:
        self._fragments[key] = fragment
        if self._lookups >= TRIAL_CALLS and self._hits * 32 < self._lookups:
            self.is_useless = True
            self._fragments.clear()
        elif len(self._fragments) > FRAGMENTS_PER_MODULE:
            del self._fragments[next(iter(self._fragments))]


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection: tracing leaves no cycles, and what it keeps would be scanned again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _StatisticSymbols(Mapping[str, tuple[Tensor, Tensor]]):
    """Mean and variance of every batch norm as constants, whatever the number of channels that is active."""

    def __init__(self, net: nn.Module, pool: ConstantPool) -> None:
        self._symbols: dict[str, Any] = {}
        for name, module in net.named_modules():
            if isinstance(module, ElasticBatchNorm2d):
                type_ = TensorType(torch.Size((module.num_features,)), torch.float32)
                self._symbols[name] = (pool.leaf(name, "mean", type_), pool.leaf(name, "variance", type_))

    def __getitem__(self, key: str) -> tuple[Tensor, Tensor]:
        statistics: tuple[Tensor, Tensor] = self._symbols[key]
        return statistics

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)


def _substitute(net: nn.Module, pool: ConstantPool) -> _StatisticSymbols:
    """Put constants in place of all parameters and buffers; gives those of the statistics."""
    statistics = _StatisticSymbols(net, pool)
    names = {id(tensor): name for name, tensor in (*net.named_parameters(), *net.named_buffers())}
    for module in net.modules():
        holders: Any = (("parameter", module._parameters), ("buffer", module._buffers))
        for role, tensors in holders:
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = pool.leaf(names[id(tensor)], role, TensorType.of(tensor))
    return statistics


def _flatten(tree: Any, key: list[Any], values: list[Value]) -> None:
    """Split the arguments of a call into what tells calls apart and the values that flow."""
    for item in tree:
        kind = type(item)
        if kind is Value:
            key.append(item.type)
            values.append(item)
        elif kind is tuple or kind is list:
            key.append(len(item))
            _flatten(item, key, values)
        elif kind is dict:
            key.append(tuple(item))
            _flatten(item.values(), key, values)
        elif kind is not Context:
            key.append(item)


def _replaced(tree: Any, inputs: Iterator[Value]) -> Any:
    """The arguments with the values of another frame, in the order of `_flatten`."""
    if type(tree) is Value:
        return next(inputs)
    if type(tree) is tuple or type(tree) is list:
        return type(tree)(_replaced(item, inputs) for item in tree)
    if type(tree) is dict:
        return {name: _replaced(item, inputs) for name, item in tree.items()}
    return tree
