"""Samplers: which network to score next. Each is one of Optuna's `BaseSampler`s, all are made in one way."""

from nas.errors import UserError
from nas.search.samplers.base import ArchSampler, NothingLeftError
from nas.search.samplers.evolution import LitePoseEvolution
from nas.search.samplers.genes import index_distributions
from nas.search.samplers.heads import HeadTurns
from nas.search.samplers.of_optuna import OptunaGp, OptunaNsga2, OptunaTpe
from nas.search.samplers.prior import Prior
from nas.search.samplers.surrogate import SurrogateSampler
from nas.search.samplers.uniform import UniformSampler

__all__ = [
    "SAMPLERS", "ArchSampler", "HeadTurns", "NothingLeftError", "Prior", "SurrogateSampler",
    "index_distributions", "sampler_named",
]  # fmt: skip

SAMPLERS: dict[str, type[ArchSampler]] = {
    sampler.name: sampler
    for sampler in (
        SurrogateSampler,
        LitePoseEvolution,
        OptunaNsga2,
        OptunaTpe,
        OptunaGp,
        UniformSampler,
    )
}


def sampler_named(name: str) -> type[ArchSampler]:
    """The sampler of a name. Raises UserError where there is none."""
    if name not in SAMPLERS:
        raise UserError(f"`sampler` {name}: there is no such sampler; choose one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name]
