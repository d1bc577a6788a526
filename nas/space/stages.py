"""The schema of stages in search-space files."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Self, TypeVar, get_type_hints

from pydantic import Field, create_model, model_validator

from nas.space.arch import Block, fixed_fields
from nas.space.choices import Listed, SpaceModel, complete_options
from nas.space.fields import Activation, AsTuple, BlockType, Depth, Option, Stride, Width, keys_of
from nas.space.parts import find
from nas.space.specs import BlockSpec

_Model = TypeVar("_Model", bound=SpaceModel)


def _with_choices_of(kind: type[Any]) -> Callable[[type[_Model]], type[_Model]]:
    """Gives a model a list of choices, by default none, for every field of a dataclass."""
    added: dict[str, Any] = {
        name: (Annotated[tuple[hint, ...], Listed], Field(alias=name, default=()))  # type: ignore[valid-type]
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }
    return lambda model: create_model(model.__name__, __base__=model, __doc__=model.__doc__, **added)


@_with_choices_of(Block)
class BlockChoices(SpaceModel):
    """The choices of one block; what none of the stage's types has a choice of is left out."""


@_with_choices_of(Block)
class _Blocks(SpaceModel):
    types: Annotated[tuple[BlockType, ...], Listed] = Field(alias="type")
    activations: Annotated[tuple[Activation, ...], Listed] = Field(alias="activation")
    stride: Stride
    widths: Annotated[tuple[Width, ...], Listed] = Field(alias="width")
    depths: Annotated[tuple[Depth, ...], Listed] = Field(alias="depth")


class StageChoices(_Blocks):
    """One stage. The choices of a block's fields hold for each; `blocks` lists them one by one instead."""

    listed_blocks: Annotated[tuple[BlockChoices, ...], AsTuple] | None = Field(alias="blocks", default=None)
    options: dict[str, Annotated[tuple[Option, ...], Listed]] = Field(default_factory=dict)

    @cached_property
    def blocks(self) -> tuple[Mapping[str, tuple[int, ...]], ...]:
        """By field, the choices of every block of the deepest stage; fixed values where no type has any."""
        if self.listed_blocks is None:
            return (_completed(self.choices(), self.types),) * self.depths[-1]
        return tuple(
            _completed(block.choices(), self.types, f"blocks.{number}.")
            for number, block in enumerate(self.listed_blocks)
        )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Options that are left out are at the defaults of the types that have them."""
        if not isinstance(data, Mapping):
            return data
        names = data["type"] if isinstance(data.get("type"), list | tuple) else (data.get("type"),)
        specs = [find(BlockSpec, name) for name in names if isinstance(name, str)]
        known = [spec for spec in specs if spec is not None]
        return {**data, "options": complete_options(known, data.get("options", {}))} if known else data

    @model_validator(mode="after")
    def _one_way_of_blocks(self) -> Self:
        common = [name for name in keys_of(Block) if self.choices()[name]]
        if self.listed_blocks is not None and common:
            raise ValueError(f"give {' and '.join(common)}, or blocks instead of both")
        if len(self.blocks) != self.depths[-1]:
            raise ValueError(f"blocks: the largest depth is {self.depths[-1]}, got {len(self.blocks)} blocks")
        return self


def _completed(
    given: Mapping[str, tuple[int, ...]], types: Sequence[str], place: str = ""
) -> dict[str, tuple[int, ...]]:
    """The choices of a block's fields, with the fixed values of what none of the types has a choice of.

    Raises:
        ValueError: a choice is missing, or is given where there is none.
    """
    found = {}
    for name, required in keys_of(Block).items():
        fixed, choices = fixed_of_all(types, name), given[name]
        if fixed is not None and choices not in ((), (fixed,)):
            raise ValueError(f"{place}{name}: blocks of type {' or '.join(types)} have {fixed}; leave it out")
        if fixed is None and not choices:
            if required:
                raise ValueError(f"{place}{name}: is missing")
            fixed = getattr(Block, name)
        found[name] = choices if fixed is None else (fixed,)
    return found


def fixed_of_all(block_types: Sequence[str], name: str) -> int | None:
    """The value of a block's `name` where none of the types has a choice of it; None where one has."""
    values = [fixed_fields(block_type).get(name) for block_type in block_types]
    return None if None in values else values[0]
