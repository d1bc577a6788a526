"""Narrower tensors in wider ones: they fill the leading channels, as a supernet's networks use them."""

from operator import le

from torch import Tensor


def has_room(parameter: Tensor, tensor: Tensor) -> bool:
    """Whether a tensor fills the leading channels (first two axes); kernels and grids must be equal."""
    shape, room = tensor.shape, parameter.shape
    return len(shape) == len(room) and shape[2:] == room[2:] and all(map(le, shape[:2], room[:2]))


def fill_leading(parameter: Tensor, tensor: Tensor) -> None:
    """Put a tensor into the leading channels of a parameter that has room for it; the rest stays as it is."""
    parameter[tuple(slice(0, size) for size in tensor.shape)] = tensor.to(parameter)
