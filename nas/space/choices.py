"""Lists of choices, as search-space files have them."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import BeforeValidator

from nas.documents import shown
from nas.errors import UserError
from nas.space.fields import StrictModel
from nas.space.specs import VariedSpec


def choices_of(value: Any) -> tuple[Any, ...]:
    """A scalar stands for a list of one; numbers ascend and nothing is listed twice."""
    choices = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not choices:
        raise ValueError("at least one choice is needed")
    if all(type(choice) in (int, float) for choice in choices):
        if any(left >= right for left, right in pairwise(choices)):
            raise ValueError(f"list the choices from small to large, each once; got {shown(list(choices))}")
    elif any(choice in choices[:position] for position, choice in enumerate(choices)):
        raise ValueError(f"list each choice once; got {list(choices)}")
    return choices


Listed = BeforeValidator(choices_of)


def complete_options(specs: Sequence[VariedSpec], given: Any) -> Any:
    """The choices of the options that any of the types has, those not given at their defaults.

    Raises:
        ValueError: unknown option, or a value that it cannot have.
    """
    if not isinstance(given, Mapping):
        return given
    defaults = {option: (default,) for spec in specs for option, default in spec.options.items()}
    listed = {option: choices_of(choices) for option, choices in given.items()}
    for spec in specs:
        for option in [name for name in listed if name in spec.options or name not in defaults]:
            for choice in listed[option]:
                try:
                    spec.complete({option: choice})
                except UserError as error:
                    raise ValueError(str(error)) from None
    return {**defaults, **listed}


class SpaceModel(StrictModel):
    """A part of a search-space file. A field has an alias where it lists the choices of one thing."""

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The choices by what they are choices of, those that are left out as none."""
        return {
            field.alias: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if field.alias is not None
        }

    @classmethod
    def _noun(cls) -> str:
        return "dimension"
