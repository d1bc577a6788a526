"""What options of several commands share."""

import math
from typing import Annotated, TypeVar

import typer

CategoryOption = Annotated[
    str | None,
    typer.Option(
        "--category", help="Which category is people, by its name; all: every one with the same joints."
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random choices.")]

Numbers = TypeVar("Numbers", float, list[float], None)


def finite(given: Numbers) -> Numbers:
    """The callback of options that take numbers: no range excludes what is not a number."""
    numbers: list[float] = given if isinstance(given, list) else [] if given is None else [given]
    for number in numbers:
        if not math.isfinite(number):
            raise typer.BadParameter(f"expected a finite number, got {number}")
    return given
