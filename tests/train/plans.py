"""Plans made by hand."""

from itertools import chain, repeat
from typing import Any

from nas.space import Arch
from nas.train.plan import Role, StepPlan, Trainee


def plan_of(archs: tuple[Arch, ...], **fields: Any) -> StepPlan:
    """A step on two samples that trains the largest network, the smallest and random ones, or one alone."""
    ends: list[Role] = ["largest", "smallest"] if len(archs) > 1 else ["alone"]
    roles = chain(ends, repeat("random"))
    trainees = tuple(Trainee(role, (arch,)) for role, arch in zip(roles, archs, strict=False))  # type: ignore[arg-type]
    return StepPlan(**{"step": 0, "seed": 0, "indices": (0, 1), "trainees": trainees, **fields})
