"""Dimensions of a search space: named, ordered lists of choices."""

from dataclasses import dataclass
from functools import cached_property

from nas.space.specs import OptionValue

Choice = OptionValue | tuple[int, int]


@dataclass(frozen=True)
class Dimension:
    """One thing that may vary.

    Args:
        name: its place in the arch, such as `stages.2.blocks.3.kernel`.
        choices: what it may be, from cheap to expensive.
        position: its place among the space's dimensions.
    """

    name: str
    choices: tuple[Choice, ...]
    position: int

    @property
    def elastic(self) -> bool:
        """Whether there is anything to choose."""
        return len(self.choices) > 1

    @cached_property
    def indices(self) -> dict[Choice, int]:
        """The index of every choice."""
        return {choice: index for index, choice in enumerate(self.choices)}

    def fault(self, value: Choice) -> str | None:
        """Why a value is no choice, led by the dimension's name; None where it is one."""
        allowed = ", ".join(map(str, self.choices))
        return None if value in self.indices else f"{self.name}: {value} is not among {allowed}"
