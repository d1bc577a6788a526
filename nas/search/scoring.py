"""How networks are scored while searching: on how many calibration images, and whether to the end."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Self

from nas.errors import UserError
from nas.search.evaluator import SubnetEvaluator
from nas.search.stopping import SHARES

_ANY = "\0"
"""Stands for any number in the name of a study, which has no such character."""

CALIBRATION_IMAGES = 64
"""Scores on two sets of as many differ by a tenth of what networks of equal time differ by."""


@dataclass(frozen=True)
class Scoring:
    """How networks are scored while searching.

    Args:
        calibration_images: None for all of the run's, with which studies of former versions were scored.
        early_stopping: whether those that will not be among the finalists are stopped.
    """

    calibration_images: int | None = CALIBRATION_IMAGES
    early_stopping: bool = True

    @classmethod
    def chosen(
        cls,
        key: str,
        *,
        studies: Collection[str],
        name: Callable[[str], str],
        calibration_images: int | None = None,
        early_stopping: bool | None = None,
    ) -> Self:
        """As asked for; what was not said (None) as a study was scored that there is, else as a new one is.

        Args:
            key: of scores that are calibrated with all images.
            studies: the names of those there are.
            name: of the study of a key.
            calibration_images, early_stopping: what was asked for.

        Raises:
            UserError: no calibration image is asked for.
        """
        if calibration_images is not None and calibration_images < 1:
            raise UserError(f"`calibration_images` {calibration_images}: a network needs at least one")
        former = calibration_images is None and name(key) in studies
        images = calibration_images
        if images is None and not former:
            images = _recorded(studies, name(_key(key, _ANY)))
        return cls(images, (not former) if early_stopping is None else early_stopping)

    def key(self, of_all: str) -> str:
        """Of scores so, where those that are calibrated with all images have the key `of_all`."""
        return of_all if self.calibration_images is None else _key(of_all, str(self.calibration_images))

    def evaluator(self, of_all: SubnetEvaluator, metric: str) -> SubnetEvaluator:
        """Scores so, where `of_all` calibrates with all images and stops nobody."""
        shares = SHARES if self.early_stopping else ()
        return of_all.for_search(
            metric, key=self.key(of_all.key), images=self.calibration_images, shares=shares
        )

    def thorough(self, of_all: SubnetEvaluator, metric: str) -> SubnetEvaluator:
        """Calibrates with all images, and scores on everybody."""
        return of_all.for_search(metric, key=of_all.key)

    def facts(self) -> dict[str, Any]:
        """What results say of it; of scoring as in former versions nothing, as those did."""
        former = self.calibration_images is None and not self.early_stopping
        return {} if former else {"scoring": dict(vars(self))}


def _key(key: str, images: str) -> str:
    return f"{key}-{images}"


def _recorded(studies: Collection[str], name: str) -> int:
    """The calibration images that a study's name tells, in the place of `_ANY`; those of a new one else."""
    before, _, behind = name.partition(_ANY)
    pattern = f"{re.escape(before)}(\\d+){re.escape(behind)}"
    found = {int(match[1]) for study in studies if (match := re.fullmatch(pattern, study))}
    return CALIBRATION_IMAGES if CALIBRATION_IMAGES in found else max(found, default=CALIBRATION_IMAGES)
