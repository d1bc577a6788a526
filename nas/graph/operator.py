"""Operators: the nodes of a graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nas.graph.constants import Constant
from nas.graph.symbols import TensorType

Source = int | Constant | None
"""Where an operator's input comes from: the id of an edge, a constant, or nothing (left out)."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operation on tensors that depend on the network's input.

    Args:
        kind: the name of its record in the registry.
        scope: full name of the module that called it.
        inputs: an edge's id, a constant, or None for an optional input left out.
        outputs: ids of the edges that it gives.
        attributes: everything else that it was called with.
        input_types, output_types: shapes and dtypes, aligned with `inputs` and `outputs`.
        macs: multiply-accumulates, counted once per true multiplication.
    """

    kind: str
    scope: str
    inputs: tuple[Source, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Any]
    input_types: tuple[TensorType | None, ...]
    output_types: tuple[TensorType, ...]
    macs: int

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The constants among its inputs."""
        return tuple(source for source in self.inputs if isinstance(source, Constant))

    @property
    def weights(self) -> tuple[Constant, ...]:
        """The constants that come from parameters."""
        return tuple(constant for constant in self.constants if constant.trainable)

    @property
    def edges(self) -> tuple[int, ...]:
        """The ids of the edges that it reads."""
        return tuple(source for source in self.inputs if isinstance(source, int))

    def input_type(self, position: int) -> TensorType:
        """The type of an input that is not left out."""
        type_ = self.input_types[position]
        assert type_ is not None
        return type_

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its first output."""
        return self.output_types[0].shape


class Step(NamedTuple):
    """An operator where it stands in a network.

    Args:
        operator: what is done; its own ids are those of the fragment that it was recorded in.
        inputs, outputs: as the operator's, with ids that are unique in the network.
    """

    operator: Operator
    inputs: tuple[Source, ...]
    outputs: tuple[int, ...]
