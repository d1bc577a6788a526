"""The schema of stages in search-space files."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from nas.space.choices import Listed, SpaceModel
from nas.space.fields import Activation, AsTuple, BlockType, Depth, Expansion, Kernel, Option, Stride, Width
from nas.space.parts import find, part
from nas.space.specs import BlockSpec, options_fault


class BlockChoices(SpaceModel):
    """The choices of one block; what none of the stage's types has a choice of is left out."""

    kernels: Annotated[tuple[Kernel, ...], Listed] = Field(alias="kernel", default=())
    expansions: Annotated[tuple[Expansion, ...], Listed] = Field(alias="expansion", default=())

    def completed(self, types: Sequence[str], place: str = "") -> "BlockChoices":
        """With the fixed values of what none of the types has a choice of.

        Raises:
            ValueError: a choice is missing, or is given where there is none.
        """
        found = {}
        for name, choices in self.choices().items():
            fixed = fixed_of_all(types, name)
            if fixed is None and not choices:
                raise ValueError(f"{place}{name}: is missing")
            if fixed is not None and choices not in ((), (fixed,)):
                raise ValueError(
                    f"{place}{name}: blocks of type {' or '.join(types)} have {fixed}; leave it out"
                )
            found[name] = choices if fixed is None else (fixed,)
        return BlockChoices.model_validate(found)


class StageChoices(SpaceModel):
    """One stage. `kernel` and `expansion` hold for each block; `blocks` lists them one by one instead."""

    types: Annotated[tuple[BlockType, ...], Listed] = Field(alias="type")
    activations: Annotated[tuple[Activation, ...], Listed] = Field(alias="activation")
    stride: Stride
    widths: Annotated[tuple[Width, ...], Listed] = Field(alias="width")
    depths: Annotated[tuple[Depth, ...], Listed] = Field(alias="depth")
    kernels: Annotated[tuple[Kernel, ...], Listed] = Field(alias="kernel", default=())
    expansions: Annotated[tuple[Expansion, ...], Listed] = Field(alias="expansion", default=())
    listed_blocks: Annotated[tuple[BlockChoices, ...], AsTuple] | None = Field(alias="blocks", default=None)
    options: dict[str, Annotated[tuple[Option, ...], Listed]] = Field(default_factory=dict)

    @cached_property
    def blocks(self) -> tuple[BlockChoices, ...]:
        """The choices of every block of the deepest stage."""
        if self.listed_blocks is None:
            common = BlockChoices.model_construct(kernels=self.kernels, expansions=self.expansions)
            return (common.completed(self.types),) * self.depths[-1]
        return tuple(
            block.completed(self.types, f"blocks.{number}.")
            for number, block in enumerate(self.listed_blocks)
        )

    @model_validator(mode="before")
    @classmethod
    def _later_options(cls, data: Any) -> Any:
        """What came after spaces had been published without it is at its default where it is left out."""
        if not isinstance(data, Mapping) or not isinstance(data.get("options", {}), Mapping):
            return data
        names = data["type"] if isinstance(data.get("type"), list | tuple) else (data.get("type"),)
        specs = [find(BlockSpec, name) for name in names if isinstance(name, str)]
        later = {option: spec.options[option] for spec in specs if spec for option in spec.later}
        return {**data, "options": {**later, **data.get("options", {})}} if later else data

    @model_validator(mode="after")
    def _one_way_of_blocks(self) -> Self:
        if self.listed_blocks is not None and (self.kernels or self.expansions):
            raise ValueError("give kernel and expansion, or blocks instead of both")
        if len(self.blocks) != self.depths[-1]:
            raise ValueError(f"blocks: the largest depth is {self.depths[-1]}, got {len(self.blocks)} blocks")
        return self

    @model_validator(mode="after")
    def _known_options(self) -> Self:
        if fault := options_fault([part(BlockSpec, name) for name in self.types], self.options):
            raise ValueError(fault)
        return self


def fixed_of_all(block_types: Sequence[str], name: str) -> int | None:
    """The value of a block's `name` where none of the types has a choice of it; None where one has."""
    values = [part(BlockSpec, block_type).fixed.get(name) for block_type in block_types]
    return None if None in values else values[0]
