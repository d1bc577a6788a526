"""Scaling as by hand: everything at its middle choice, widths and input size raised together."""

from collections.abc import Sequence

from nas.space import Arch, ArchManager, Dimension, SearchSpace


def ladder(space: SearchSpace, *, head: str, neck: str) -> list[Arch]:
    """Networks of one head, each but the first with one more choice of one width, or of the input size.

    All begin at their first choice. What is raised next is what lies farthest behind, as a share of its list;
    of equals that which comes first in the space: the input, the stem, the stages, the neck. Depths, kernels,
    expansions and the rest stay at the middle of their lists, of two middles at the lower.
    """
    manager, layout = ArchManager(space), space.layout
    raised = [dimension for dimension in space.dimensions if _is_raised(space, dimension)]
    indices = {dimension.name: (len(dimension.choices) - 1) // 2 for dimension in space.dimensions}
    indices |= {dimension.name: 0 for dimension in raised}
    for dimension, choice in ((layout.head, head), (layout.neck_of[head], neck)):
        indices[dimension.name] = dimension.indices[choice]
    steps = sorted(
        ((step - 0.5) / (len(dimension.choices) - 1), dimension.position, dimension.name)
        for dimension in raised
        for step in range(1, len(dimension.choices))
    )
    rungs = [manager.decode(indices)]
    for _, _, name in steps:
        indices[name] += 1
        rungs.append(manager.decode(indices))
    return list(dict.fromkeys(rungs))  # the widths of another head's neck change nothing


def largest_within(rungs: Sequence[Arch], ms: Sequence[float], budget_ms: float) -> tuple[Arch, float] | None:
    """The highest rung that keeps a budget, with its milliseconds; None where none does."""
    fitting = [(arch, taken) for arch, taken in zip(rungs, ms, strict=True) if taken <= budget_ms]
    return fitting[-1] if fitting else None


def _is_raised(space: SearchSpace, dimension: Dimension) -> bool:
    name = dimension.name
    return dimension is space.layout.resolution or name.endswith(".width") or ".widths." in name
