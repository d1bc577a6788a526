"""Scaling as by hand: everything at its middle choice, widths and input size raised together."""

from collections.abc import Sequence

from nas.space import Arch, ArchManager, Dimension, SearchSpace


def ladder(space: SearchSpace, *, head: str, neck: str) -> list[Arch]:
    """Networks of one head, each but the first with one more choice of one width, or of the input size.

    Both begin at their first choice; depths, kernels and expansions stay at the middle of their lists, of two
    middles at the lower, and so does the rest. What is raised next is what lies farthest behind, as a share
    of its list; of equals that which comes first in the space: the input, the stem, the stages, the neck.
    When all of them are at their largest, depths, kernels and expansions follow in the same way.
    """
    manager, layout = ArchManager(space), space.layout
    indices = {dimension.name: (len(dimension.choices) - 1) // 2 for dimension in space.dimensions}
    first = [dimension for dimension in space.dimensions if _is_size(space, dimension)]
    later = [dimension for dimension in space.dimensions if _is_shape(dimension)]
    indices |= {dimension.name: 0 for dimension in first}
    for dimension, choice in ((layout.head, head), (layout.neck_of[head], neck)):
        indices[dimension.name] = dimension.indices[choice]
    rungs = [manager.decode(indices)]
    for name in [*_steps(first, indices), *_steps(later, indices)]:
        indices[name] += 1
        rungs.append(manager.decode(indices))
    return list(dict.fromkeys(rungs))  # the widths of another head's neck change nothing


def largest_within(rungs: Sequence[Arch], ms: Sequence[float], budget_ms: float) -> tuple[Arch, float] | None:
    """The highest rung that keeps a budget, with its milliseconds; None where none does."""
    fitting = [(arch, taken) for arch, taken in zip(rungs, ms, strict=True) if taken <= budget_ms]
    return fitting[-1] if fitting else None


def _steps(dimensions: Sequence[Dimension], indices: dict[str, int]) -> list[str]:
    """The names of dimensions in the order in which they are raised, from where they are to their ends."""
    steps = sorted(
        ((step - 0.5) / (len(dimension.choices) - 1), dimension.position, dimension.name)
        for dimension in dimensions
        for step in range(indices[dimension.name] + 1, len(dimension.choices))
    )
    return [name for _, _, name in steps]


def _is_size(space: SearchSpace, dimension: Dimension) -> bool:
    name = dimension.name
    return dimension is space.layout.resolution or name.endswith(".width") or ".widths." in name


def _is_shape(dimension: Dimension) -> bool:
    return dimension.name.rpartition(".")[2] in {"depth", "kernel", "expansion"}
