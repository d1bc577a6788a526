"""What a user pays outside the ONNX graph: the codec's grouping of candidates into poses.

A pack carries the same work to another device, so nothing here needs more than numpy and the codec's module.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.timing.protocol import Shapes

if TYPE_CHECKING:
    from nas.space.arch import Arch
    from nas.space.skeleton import Skeleton

# A crowded picture: grouping takes longer with every person.
PEOPLE = 5
_TAG_SPACING = 10.0


@dataclass(frozen=True)
class Grouping:
    """The grouping of one image's random candidates by a codec, as work to time.

    Args:
        codec: "package.module:Class" of the codec.
        skeleton: what the codec is made with; on a pack's device its keypoints and other plain values.
        resolution: the network's input (h, w), px.
        options: of the head.
        strides: of the neck's maps, see `nas.codecs.base.Codec`.
        people: whom the candidates of a head for many people belong to; a fifth of their joints is missing.
        seed: of the candidates.
    """

    codec: str
    skeleton: Any
    resolution: tuple[int, int]
    options: tuple[tuple[str, Any], ...]
    strides: tuple[int, ...]
    people: int = PEOPLE
    seed: int = 0

    def __call__(self, shapes: Shapes) -> Callable[[], object]:
        """The work for a decode's outputs of these shapes (without the batch axis)."""
        codec = self._load()(self.skeleton, self.resolution, dict(self.options), stride=self.strides)
        rng = np.random.default_rng(self.seed)
        candidates = random_candidates(shapes, self.resolution, people=self.people, rng=rng)
        return lambda: codec.group(candidates)

    def missing(self) -> str | None:
        """The name of the module without which the codec cannot run here; None where it can."""
        try:
            self._load()
        except ImportError as error:
            return error.name or str(error)
        return None

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
        )

    def _load(self) -> Any:
        module, _, name = self.codec.partition(":")
        return getattr(import_module(module), name)


def grouping(arch: "Arch", skeleton: "Skeleton", *, people: int = PEOPLE, seed: int = 0) -> Grouping:
    """The grouping of an architecture's candidates. Raises UserError for a head that is not registered."""
    from nas.space.heads import head_spec
    from nas.space.strides import level_strides

    return Grouping(
        codec=head_spec(arch.head.type).codec,
        skeleton=skeleton,
        resolution=arch.resolution,
        options=tuple(dict(arch.head.options).items()),
        strides=level_strides(arch),
        people=people,
        seed=seed,
    )


def random_candidates(
    shapes: Shapes, resolution: tuple[int, int], *, people: int, rng: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Random values for a decode's outputs of these shapes; coordinates lie within the resolution (h, w).

    Candidates with tags [K, M, 3 + T] belong to `people` separate people: one candidate of every joint each,
    one in five left out by a score of 0 but for the first joint, by which a codec gets to know its people.
    """
    filled = {name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}
    height, width = resolution
    for name in filled.keys() & {"candidates", "keypoints"}:
        filled[name][..., :2] *= (width, height)
    if "candidates" in filled:
        candidates = filled["candidates"]
        joints, most = candidates.shape[:2]
        missing = rng.random((joints, most)) < 0.2
        missing[0] = False
        missing[:, people:] = True
        candidates[..., 2] = np.where(missing, 0, 0.2 + 0.8 * candidates[..., 2])
        candidates[..., 3:] = 0.1 * candidates[..., 3:] + _TAG_SPACING * np.arange(most)[None, :, None]
    return filled
