"""Constants of a trace: parameters, buffers, statistics, and what is computed from these alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor

from nas.graph.symbols import Symbol, TensorType, freeze, infer, map_tree

Role = Literal["parameter", "buffer", "mean", "variance"]


@dataclass(frozen=True)
class Leaf:
    """A tensor of the network, by its full name; statistics by the name of their batch norm."""

    name: str
    role: Role


@dataclass(frozen=True, eq=False)
class KnownTensor:
    """A tensor whose values were known when the network was traced."""

    tensor: Tensor


@dataclass(frozen=True, eq=False)
class Expression:
    """A function of constants, computed only when its value is asked for.

    Args:
        function: any function of tensors.
        args, kwargs: its arguments, constants in place of tensors.
        item: which of several results is meant.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    item: int | None = None


Values = Callable[[Leaf], Tensor]


class Constant(Symbol):
    """A symbol whose values depend on the network's weights alone.

    `trainable` says whether a parameter is among what it is computed from.
    """

    __slots__ = ("pool", "source", "trainable")
    varies = False

    def __init__(
        self,
        type_: TensorType,
        source: Leaf | KnownTensor | Expression,
        *,
        pool: "ConstantPool",
        trainable: bool,
    ) -> None:
        super().__init__(type_)
        self.source = source
        self.pool = pool
        self.trainable = trainable

    def apply(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self.pool.apply(function, args, kwargs)

    @property
    def stored_bytes(self) -> int:
        """Of its entries, as a model stores them: one for all where they are known to be equal."""
        if isinstance(self.source, KnownTensor) and _is_uniform(self.source.tensor):
            return self.source.tensor.element_size()
        return self.type.bytes

    def __repr__(self) -> str:
        return f"Constant({list(self.shape)}, {self.source})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class ConstantPool:
    """Makes constants; equal expressions give the same constant."""

    def __init__(self) -> None:
        self._interned: dict[Any, Any] = {}

    def leaf(self, name: str, role: Role, type_: TensorType) -> Constant:
        """A parameter, buffer or statistic."""
        leaf: Constant = self._intern(
            ("leaf", name, role),
            lambda: Constant(type_, Leaf(name, role), pool=self, trainable=role == "parameter"),
        )
        return leaf

    def given(self, tensor: Tensor) -> Constant:
        """A tensor with known values. Raises ValueError for one that has none."""
        if tensor.is_meta:
            raise ValueError(
                "a tensor made in a module's __init__ is used in its forward: register it as a buffer"
            )
        tensor = tensor.detach()
        uniform = _is_uniform(tensor)
        values = tensor.flatten()[:1] if uniform else tensor
        key = ("given", tensor.dtype, tensor.shape, uniform, values.cpu().contiguous().numpy().tobytes())
        given: Constant = self._intern(
            key, lambda: Constant(TensorType.of(tensor), KnownTensor(tensor), pool=self, trainable=False)
        )
        return given

    def apply(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The constant (or constants) that a function of constants gives."""
        key = (function, freeze(args, self._identify), freeze(kwargs, self._identify))
        return self._intern(key, lambda: self._express(function, args, kwargs))

    def derive(self, function: Callable[..., Tensor], *args: Any, like: TensorType) -> Constant:
        """An expression whose type is known; nothing is computed or looked up."""
        return Constant(like, Expression(function, args, {}), pool=self, trainable=True)

    def _lift(self, leaf: Any) -> Any:
        return self.given(leaf) if isinstance(leaf, Tensor) else leaf

    def _identify(self, tensor: Any) -> int:
        return id(self._lift(tensor))

    def _express(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        args, kwargs = map_tree(self._lift, tuple(args)), map_tree(self._lift, dict(kwargs))
        result = infer(function, *args, **kwargs)
        trainable = any(c.trainable for c in _constants_in((args, kwargs)))

        def constant(type_: TensorType, item: int | None) -> Constant:
            return Constant(type_, Expression(function, args, kwargs, item), pool=self, trainable=trainable)

        if isinstance(result, TensorType):
            return constant(result, None)
        if isinstance(result, tuple) and all(isinstance(part, TensorType) for part in result):
            return tuple(constant(part, item) for item, part in enumerate(result))
        return result

    def _intern(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._interned:
            self._interned[key] = make()
        return self._interned[key]


class ConstantFolder:
    """Computes constants from the tensors of a network, each once.

    Args:
        values: gives the tensor of a leaf.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self._computed: dict[Constant, Tensor] = {}

    def __call__(self, constant: Constant) -> Tensor:
        if constant not in self._computed:
            self._computed[constant] = self._compute(constant.source)
        return self._computed[constant]

    @torch.no_grad()
    def _compute(self, source: Leaf | KnownTensor | Expression) -> Tensor:
        if isinstance(source, Leaf):
            return self._values(source).detach()
        if isinstance(source, KnownTensor):
            return source.tensor
        result = source.function(
            *map_tree(self._resolve, source.args), **map_tree(self._resolve, source.kwargs)
        )
        tensor: Tensor = result if source.item is None else result[source.item]
        return tensor

    def _resolve(self, leaf: Any) -> Any:
        return self(leaf) if isinstance(leaf, Constant) else leaf


def _is_uniform(tensor: Tensor) -> bool:
    """Whether all entries are one."""
    return tensor.numel() > 0 and all(stride == 0 for stride in tensor.stride())


def leaves_of(constant: Constant) -> set[Leaf]:
    """The tensors of the network that a constant is computed from."""
    if isinstance(constant.source, Leaf):
        return {constant.source}
    if isinstance(constant.source, KnownTensor):
        return set()
    inner = _constants_in((constant.source.args, constant.source.kwargs))
    return set().union(*(leaves_of(part) for part in inner))


def _constants_in(tree: Any) -> list[Constant]:
    found: list[Constant] = []

    def note(leaf: Any) -> None:
        if isinstance(leaf, Constant):
            found.append(leaf)

    map_tree(note, tree)
    return found
