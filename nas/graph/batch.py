"""Several images at once: a model for any number of them, and batches for a model of a fixed number."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from nas.graph.builder import EDGE
from nas.graph.onnx import describe

BATCH = "batch"
"""What the open axis is called."""

Array = NDArray[Any]


def open_batch(two: ModelProto, three: ModelProto) -> ModelProto:
    """The model of a network for any number of images.

    The models for two and for three images differ in constants alone. Integers that grow with the number of
    images (they say shapes) are computed of it, and what is stored once for every image is repeated.

    Raises ValueError where they differ in anything else: the file would be of one number of images.
    """
    return _Opening(two, three).model()


def batches(images: Iterable[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """Images [3, H, W], as many at once as a model takes (0 stands for any); the last fills up."""
    waiting = iter(images)
    while found := list(islice(waiting, size or 1)):
        found += found[-1:] * (size - len(found))
        yield np.ascontiguousarray(np.stack(found), dtype=np.float32)


class _Opening:
    def __init__(self, two: ModelProto, three: ModelProto) -> None:
        self._two, self._three = two, three
        self._arrays, self._other_arrays = (
            {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
            for model in (two, three)
        )
        self._twins: dict[str, str] = {}
        """What tensors of the model for three images are called in that for two."""
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, Array] = {}

    def model(self) -> ModelProto:
        (images,), (others,) = self._two.graph.input, self._three.graph.input
        self._twins[others.name] = images.name
        self._count_images(images.name)
        for node, other in zip(self._two.graph.node, self._three.graph.node, strict=True):
            self._copy(node, other)
        opened = ModelProto()
        opened.CopyFrom(self._two)
        graph = opened.graph
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in self._constants.items())
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
        describe(opened, input={"batch": None})
        return opened

    def _count_images(self, images: str) -> None:
        """The number of images, as a scalar."""
        self._add("Shape", [images], f"{BATCH}_shape", f"{EDGE}0")
        first = self._constant(f"{BATCH}_axis", np.asarray(0))
        self._add("Gather", [f"{BATCH}_shape", first], BATCH, f"{EDGE}0", axis=0)

    def _copy(self, node: NodeProto, other: NodeProto) -> None:
        if (node.op_type, node.attribute) != (other.op_type, other.attribute):
            raise ValueError(f"{node.name} is {node.op_type} of two images, and another of three")
        copied = NodeProto()
        copied.CopyFrom(node)
        for position, (name, twin) in enumerate(zip(node.input, other.input, strict=True)):
            if name in self._arrays and twin in self._other_arrays:
                copied.input[position] = self._held(node, position, self._arrays[name], name, twin)
            elif self._twins.get(twin, twin) != name:
                raise ValueError(f"{node.name} reads other tensors of two images than of three")
        self._twins.update(zip(other.output, node.output, strict=True))
        self._nodes.append(copied)

    def _held(self, node: NodeProto, position: int, array: Array, name: str, twin: str) -> str:
        """The name of what takes the place of a constant, which may depend on the number of images."""
        other = self._other_arrays[twin]
        if array.shape == other.shape and array.tobytes() == other.tobytes():
            return self._constant(name, array)
        place = f"{node.name}.{position}"
        if array.shape == other.shape and array.dtype == np.int64:
            grown = other - array
            fixed = array - 2 * grown
            if node.op_type == "Reshape" and _one_axis_is_open(array, grown, fixed):
                return self._constant(place, np.where(grown > 0, -1, array))
            return self._computed(place, fixed, grown)
        if _is_repeated(array, other):
            row = array[:1]
            fixed, grown = np.asarray((0, *row.shape[1:])), np.asarray((1, *np.zeros_like(row.shape[1:])))
            inputs = [self._constant(f"{place}.row", row), self._computed(f"{place}.shape", fixed, grown)]
            return self._add("Expand", inputs, f"{place}.rows", place)
        raise ValueError(f"input {position} of {node.name} depends on the number of images")

    def _computed(self, place: str, fixed: Array, grown: Array) -> str:
        """The name of fixed + grown * number of images, integers."""
        product = self._add("Mul", [BATCH, self._constant(f"{place}.grown", grown)], f"{place}.part", place)
        return self._add("Add", [product, self._constant(f"{place}.fixed", fixed)], f"{place}.sum", place)

    def _constant(self, name: str, values: Array) -> str:
        self._constants[name] = values
        return name

    def _add(self, type_: str, inputs: list[str], output: str, owner: str, **attributes: int) -> str:
        name = f"{owner}.{type_}.{BATCH}"
        self._nodes.append(helper.make_node(type_, inputs, [output], name=name, **attributes))
        return output


def _is_repeated(array: Array, other: Array) -> bool:
    """Whether both hold the same rows, two and three times."""
    if array.shape[:1] != (2,) or other.shape != (3, *array.shape[1:]):
        return False
    return bool((array == array[:1]).all() and (other == array[:1]).all())


def _one_axis_is_open(shape: Array, grown: Array, fixed: Array) -> bool:
    """Whether a reshape finds the one axis that grows by itself."""
    (axes,) = np.nonzero(grown)
    return bool(len(axes) == 1 and fixed[axes[0]] == 0 and (np.delete(shape, axes) > 0).all())
