"""What a user pays outside the ONNX graph: the codec's grouping of candidates into poses.

A pack carries the same work to another device, so nothing here needs more than numpy and the codec's module.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from nas.timing.protocol import Shapes

# A crowded picture: grouping takes longer with every person.
PEOPLE = 5


@dataclass(frozen=True)
class Grouping:
    """The grouping of one image's typical candidates by a codec, as work to time.

    Args:
        codec: "package.module:Class" of the codec.
        skeleton: what the codec is made with; on a pack's device its keypoints and other plain values.
        resolution: the network's input (h, w), px.
        options: of the head.
        strides: of the neck's maps, see `nas.codecs.base.Codec`.
        people: whom the candidates of a head for many people belong to.
        seed: of the candidates.
        images: how many are grouped.
    """

    codec: str
    skeleton: Any
    resolution: tuple[int, int]
    options: tuple[tuple[str, Any], ...]
    strides: tuple[int, ...]
    people: int = PEOPLE
    seed: int = 0
    images: int = 1

    def __call__(self, shapes: Shapes) -> Callable[[], object]:
        """The work for a decode's outputs of these shapes (without the batch axis)."""
        codec = self._load()(self.skeleton, self.resolution, dict(self.options), stride=self.strides)
        rng = np.random.default_rng(self.seed)
        candidates = codec.typical_candidates(shapes, people=self.people, rng=rng)

        def work() -> object:
            for _ in range(self.images - 1):
                codec.group(candidates)
            return codec.group(candidates)

        return work

    def missing(self) -> str | None:
        """The name of the module without which the codec cannot run here; None where it can."""
        try:
            self._load()
        except ImportError as error:
            return error.name or str(error)
        return None

    @property
    def packages(self) -> tuple[str, ...]:
        """What has to be installed for it besides numpy, as far as the codec is to be had here."""
        return () if self.missing() else self._load().packages

    def to_json(self) -> dict[str, Any]:
        """Plain values for a pack."""
        return {
            "codec": self.codec,
            "skeleton": self.skeleton.to_json(),
            "resolution": list(self.resolution),
            "options": dict(self.options),
            "strides": list(self.strides),
            "people": self.people,
            "seed": self.seed,
            "images": self.images,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The work that `to_json` told, with a skeleton of plain values."""
        return cls(
            codec=values["codec"],
            skeleton=SimpleNamespace(**values["skeleton"]),
            resolution=tuple(values["resolution"]),
            options=tuple(values["options"].items()),
            strides=tuple(values["strides"]),
            people=values["people"],
            seed=values["seed"],
            images=values.get("images", 1),
        )

    def _load(self) -> Any:
        module, _, name = self.codec.partition(":")
        return getattr(import_module(module), name)
