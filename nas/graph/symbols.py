"""Symbols: stand-ins for tensors that carry shape and dtype and take part in torch functions."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch

CPU = torch.device("cpu")


class TensorType(NamedTuple):
    """Shape and dtype of a tensor."""

    shape: torch.Size
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: "torch.Tensor | Symbol") -> "TensorType":
        return tensor.type if isinstance(tensor, Symbol) else cls(tensor.shape, tensor.dtype)

    @property
    def bytes(self) -> int:
        return self.shape.numel() * self.dtype.itemsize


class Symbol:
    """A tensor of which only the type is known.

    Torch functions given a symbol are sent to `apply` (torch's `__torch_function__` protocol); methods and
    arithmetic go the same way. A symbol has no truth value: control flow may look at shapes only.
    """

    __slots__ = ("type",)
    varies: ClassVar[bool]
    """Whether the values depend on the network's input."""

    def __init__(self, type_: TensorType) -> None:
        self.type = type_

    @abstractmethod
    def apply(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the function gives for these arguments."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return dispatch(func, *args, **(kwargs or {}))

    @property
    def shape(self) -> torch.Size:
        return self.type.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.type.dtype

    @property
    def device(self) -> torch.device:
        return CPU

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def requires_grad(self) -> bool:
        return False

    def dim(self) -> int:
        return len(self.type.shape)

    def size(self, dim: int | None = None) -> torch.Size | int:
        return self.type.shape if dim is None else self.type.shape[dim]

    def numel(self) -> int:
        return self.type.shape.numel()

    def is_floating_point(self) -> bool:
        return self.type.dtype.is_floating_point

    def __len__(self) -> int:
        return self.type.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(dispatch(torch.unbind, self, 0))

    def __bool__(self) -> bool:
        raise TypeError("the trace of a network cannot branch on the values of a tensor")

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Any:
        return dispatch(torch.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return dispatch(torch.ne, self, other)

    @property
    def mT(self) -> Any:  # noqa: N802
        return dispatch(torch.transpose, self, -2, -1)

    @property
    def T(self) -> Any:  # noqa: N802
        return dispatch(torch.permute, self, tuple(reversed(range(self.ndim))))

    def __getattr__(self, name: str) -> Any:
        method = None if name.startswith("__") else getattr(torch.Tensor, name, None)
        if not callable(method):
            raise AttributeError(f"a symbol has no attribute {name!r}")
        return partial(dispatch, method, self)


def _forwarded(name: str) -> Callable[..., Any]:
    function = getattr(torch.Tensor, name)

    def method(self: Symbol, *args: Any) -> Any:
        return dispatch(function, self, *args)

    method.__name__ = name
    return method


for _name in (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "mod", "pow", "rpow"),
    *("matmul", "rmatmul", "neg", "abs", "invert", "and", "or", "lt", "le", "gt", "ge", "getitem"),
):
    setattr(Symbol, f"__{_name}__", _forwarded(f"__{_name}__"))


def dispatch(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Apply a torch function to arguments of which at least one is a symbol."""
    if args and isinstance(args[0], Symbol) and args[0].varies:
        return args[0].apply(function, args, kwargs)
    leading = None
    for symbol in symbols_in((*args, *kwargs.values())):
        leading = symbol
        if symbol.varies:
            break
    assert leading is not None
    return leading.apply(function, args, kwargs)


def symbols_in(tree: Sequence[Any]) -> Iterator[Symbol]:
    """All symbols in nested tuples and lists."""
    for item in tree:
        if isinstance(item, Symbol):
            yield item
        elif isinstance(item, list | tuple):
            yield from symbols_in(item)


def map_tree(change: Callable[[Any], Any], tree: Any) -> Any:
    """The same nest of tuples, lists and dicts with every leaf changed."""
    if isinstance(tree, dict):
        return {key: map_tree(change, item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [map_tree(change, item) for item in tree]
    if isinstance(tree, tuple) and not isinstance(tree, torch.Size):
        return tuple(map_tree(change, item) for item in tree)
    if isinstance(tree, slice):
        return slice(*(change(part) for part in (tree.start, tree.stop, tree.step)))
    return change(tree)


def on_meta(leaf: Any) -> Any:
    """A meta tensor in place of a symbol or a tensor; anything else as it is."""
    if isinstance(leaf, Symbol | torch.Tensor):
        return torch.empty(leaf.shape, dtype=leaf.dtype, device="meta")
    return leaf


def infer(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The types of what a torch function gives: shapes without values.

    Computed once on meta tensors for arguments of these types, then remembered.

    Returns:
        A TensorType in place of every tensor; several results as a tuple.
    """
    if function in _SHORTCUTS and not kwargs:
        return _SHORTCUTS[function](*args)
    key = (function, freeze(args, _identify), freeze(kwargs, _identify))
    if key not in _INFERRED:
        if len(_INFERRED) >= INFERRED_LIMIT:
            _INFERRED.clear()
        with torch.no_grad():
            result = function(*map_tree(on_meta, args), **map_tree(on_meta, kwargs))
        _INFERRED[key] = map_tree(_type_if_tensor, tuple(result) if isinstance(result, list) else result)
    return _INFERRED[key]


def type_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> TensorType:
    """The type of the one tensor that a torch function gives."""
    result: TensorType = infer(function, *args, **kwargs)
    return result


def freeze(tree: Any, identify: Callable[[Any], Any]) -> Any:
    """Arguments as a key of a dictionary, tensors and symbols by what `identify` makes of them."""
    kind = type(tree)
    if kind is int or kind is str or tree is None:
        return tree
    if isinstance(tree, Symbol | torch.Tensor):
        return identify(tree)
    if kind is tuple or kind is list:
        return tuple([freeze(item, identify) for item in tree])
    if kind is dict:
        return tuple([(name, freeze(item, identify)) for name, item in tree.items()])
    if kind is slice:
        return ("slice", tree.start, tree.stop, tree.step)
    return (kind, tree)


def _identify(tensor: Any) -> Any:
    return tensor.type if isinstance(tensor, Symbol) else (tensor.shape, tensor.dtype)


def _narrowed(tensor: Any, dim: int, start: int, length: int) -> TensorType:
    shape = list(tensor.shape)
    if not 0 <= start <= start + length <= shape[dim]:
        raise ValueError(f"entries {start} to {start + length} of axis {dim} of {shape}")
    shape[dim] = length
    return TensorType(torch.Size(shape), tensor.dtype)


# The one function of which a network has thousands of different calls: slices of weights.
_SHORTCUTS: dict[Callable[..., Any], Callable[..., Any]] = {torch.Tensor.narrow: _narrowed}

INFERRED_LIMIT = 1 << 16
_INFERRED: dict[Any, Any] = {}


def _type_if_tensor(leaf: Any) -> Any:
    return TensorType.of(leaf) if isinstance(leaf, torch.Tensor) else leaf
