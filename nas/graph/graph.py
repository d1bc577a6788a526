"""Graphs: the operators of one network at one input size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from nas.graph.constants import Constant
from nas.graph.fragments import Fragment
from nas.graph.operator import Operator, Step
from nas.graph.symbols import TensorType
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Graph:
    """One architecture's forward pass and decode, as operators joined by edges.

    Args:
        arch, skeleton: what was traced.
        fragment: all of it; the images are its only input.
        images: type of the input, [B, 3, H, W].
        named: what decode gives, by name: which of the fragment's outputs, or a constant.
        raw_named: what forward gives, by name, likewise.
        anonymous: whether names and weights may be those of other modules that are built alike.
    """

    arch: Arch
    skeleton: Skeleton
    fragment: Fragment
    images: TensorType
    named: Mapping[str, int | Constant]
    raw_named: Mapping[str, int | Constant]
    anonymous: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions, linear layers and matrix products, parallel ones merged."""
        return self.fragment.macs

    @cached_property
    def trained(self) -> "Graph":
        """The network as torch runs it: parallel convolutions that are merged elsewhere are apart."""
        return replace(self, fragment=self.fragment.trained)

    @cached_property
    def params(self) -> int:
        """Number of parameters of the plain network: elements of the distinct weights, as sliced.

        Parallel convolutions count one by one.

        Raises ValueError for an anonymous graph.
        """
        if self.anonymous:
            raise ValueError("an anonymous graph does not know its weights")
        return sum(weight.numel() for weight in self.fragment.trained.weights.values())

    @cached_property
    def _flat(self) -> tuple[tuple[Step, ...], tuple[int, ...]]:
        steps, ids = self.fragment.flatten()
        return tuple(steps), tuple(ids)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All operators at their places, in an order of execution; edge 0 is the images."""
        return self._flat[0]

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """The operators of all steps, with the unique ids in place of their own."""
        return tuple(
            replace(operator, inputs=inputs, outputs=outputs) for operator, inputs, outputs in self.steps
        )

    @property
    def inputs(self) -> Mapping[str, int]:
        """Input edges by name."""
        return {"images": 0}

    @cached_property
    def outputs(self) -> Mapping[str, int | Constant]:
        """What decode gives by name: edges, or constants where nothing depends on the images."""
        return self._resolve(self.named)

    @cached_property
    def raw_outputs(self) -> Mapping[str, int | Constant]:
        """What forward gives by name."""
        return self._resolve(self.raw_named)

    @cached_property
    def types(self) -> Mapping[int, TensorType]:
        """The type of every edge."""
        types = {0: self.images}
        for operator in self.operators:
            types.update(zip(operator.outputs, operator.output_types, strict=True))
        return types

    def total(self, measure: Callable[[Operator], T], zero: T) -> T:
        """The sum of a measure over all operators, remembered per module call.

        `measure` must be the same function object from call to call, and may not look at edge ids.
        """
        return self.fragment.total(measure, zero)

    def _resolve(self, named: Mapping[str, int | Constant]) -> Mapping[str, int | Constant]:
        ids = self._flat[1]
        outputs = self.fragment.outputs
        return {name: ids[outputs[v]] if isinstance(v, int) else v for name, v in named.items()}
