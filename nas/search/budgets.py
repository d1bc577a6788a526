"""Hard budgets: what the cheapest network costs, and which budgets can be met at all."""

from collections.abc import Iterable, Sequence

from nas.errors import UserError
from nas.search.values import Cost
from nas.space import Arch, ArchManager, SearchSpace


def cheapest(space: SearchSpace, cost: Cost) -> Arch:
    """The network that costs least: coordinate descent from the smallest of every head and resolution.

    The network with the fewest channels need not be the fastest: an up-sampler or an activation can cost more
    than it computes.
    """
    manager = ArchManager(space)
    starts = {
        manager.smallest(head=head, resolution=size) for head in space.heads for size in space.resolutions
    }
    best = min(starts, key=cost)
    improved = True
    while improved:
        better = min(_neighbours(space, best), key=cost, default=best)
        improved = cost(better) < cost(best)
        best = better if improved else best
    return best


def check_budgets(
    budgets_ms: Sequence[float], space: SearchSpace, cost: Cost, *, some: bool = False
) -> tuple[float, ...]:
    """The budgets, ascending and without repetition; `some`: those that networks of the space may meet.

    Raises:
        UserError: there is none, or one (with `some` each) is below what the cheapest network costs; says
            what that is.
    """
    budgets = tuple(sorted(set(budgets_ms)))
    if not budgets:
        raise UserError("search needs a budget: `budgets_ms`, such as 10")
    smallest, needed = cost(cheapest(space, cost)), budgets[-1 if some else 0]
    if needed < smallest:
        raise UserError(
            f"`budgets_ms` {needed:g}: the cheapest network of {space.name} takes {smallest:.2f} ms as "
            f"predicted; give a budget of {smallest:.2f} ms or more, or a space with smaller networks"
        )
    return tuple(budget for budget in budgets if budget >= smallest)


def _neighbours(space: SearchSpace, arch: Arch) -> Iterable[Arch]:
    """Networks that differ in one dimension and need no other dimension to be chosen."""
    manager = ArchManager(space)
    encoded = manager.encode(arch)
    sizes = {dimension.name: len(dimension.choices) for dimension in space.dimensions}
    smallest = manager.encode(manager.smallest())
    for name, index in encoded.items():
        for other in range(sizes[name]):
            if other != index:
                yield manager.decode({**dict.fromkeys(sizes, 0), **smallest, **encoded, name: other})
