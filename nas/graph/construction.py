"""Which modules are built alike: they do the same wherever they are called in the same way."""

from collections.abc import Hashable
from typing import Any

from torch import nn

from nas.graph.symbols import TensorType

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_NAMES = frozenset({"key"})
"""Attributes that only say which module it is."""


def construction(module: nn.Module) -> Hashable:
    """Equal for two modules of the same classes, settings and shapes, at any depth.

    What cannot be compared by value counts as different.
    """
    settings = vars(module).keys() - _OF_EVERY_MODULE - _NAMES
    tensors: Any = {**module._parameters, **module._buffers}
    return (
        type(module),
        tuple((name, _comparable(vars(module)[name])) for name in sorted(settings)),
        tuple((name, None if value is None else TensorType.of(value)) for name, value in tensors.items()),
        tuple((name, construction(child)) for name, child in module.named_children()),
    )


def _comparable(value: Any) -> Hashable:
    if isinstance(value, list | tuple):
        return (type(value), *map(_comparable, value))
    if isinstance(value, dict):
        return tuple((key, _comparable(item)) for key, item in value.items())
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value if value is None else (type(value), value)
