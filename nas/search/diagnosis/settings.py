"""What to diagnose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import UserError

MINIMUM_NETWORKS = 4


@dataclass(frozen=True)
class DiagnosisSettings:
    """What to diagnose. Where something is None it is as it was before in the run, else as said here.

    Args:
        networks: how many are trained alone; 12. More than before are picked beside those.
        seeds: how often each is; 2. More than before come after those.
        images: that each training sees; None for the length of the run's `finetune` section.
        bins: narrow stretches of predicted milliseconds that hold several networks; 2.
        bin_width: how much longer than the fastest of a bin its slowest may take, as a share; 0.04.
        max_ms: no network that is predicted to take longer is picked; None for no such limit.
        heads: the only ones to pick; none for all of the space.
        seed: of what is picked; 0.
        metric: the score to compare, such as AP or PCK_torso@0.2.
        predictor: None for the run folder's own.
        allow_other_device: pick by a predictor of another device.
        hours: stop after so long; None to go on to the end.
    """

    networks: int | None = None
    seeds: int | None = None
    images: int | None = None
    bins: int | None = None
    bin_width: float | None = None
    max_ms: float | None = None
    heads: Sequence[str] = ()
    seed: int | None = None
    metric: str = "AP"
    predictor: Path | None = None
    allow_other_device: bool = False
    hours: float | None = None

    def check(self) -> None:
        """Raise UserError for a number that cannot be meant."""
        if self.networks is not None and self.networks < MINIMUM_NETWORKS:
            raise UserError(
                f"`networks`: {self.networks} are too few to tell a ranking; give {MINIMUM_NETWORKS} or "
                "more, for instance 12"
            )
        for name in ("seeds", "images", "bins"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise UserError(f"`{name}`: {number} is too few; give 1 or more")
        if self.seed is not None and self.seed < 0:
            raise UserError(f"`seed`: {self.seed} is below 0")
        for name in ("bin_width", "max_ms"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise UserError(f"`{name}`: {value:g} leaves no network; give more than 0")
