"""What a user pays outside the ONNX graph: the codec's grouping of candidates into poses."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.codecs.base import codec_of
from nas.latency.protocol import Outside, Shapes
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton

# A crowded picture: grouping takes longer with every person.
PEOPLE = 5
_TAG_SPACING = 10.0


def grouping(arch: Arch, skeleton: Skeleton, *, people: int = PEOPLE, seed: int = 0) -> Outside:
    """The grouping of one image's random candidates by the arch's codec, as work to time.

    Args:
        people: whom the candidates of a head for many people belong to; a fifth of their joints is missing.
    """
    codec = codec_of(arch, skeleton)

    def prepare(shapes: Shapes) -> Callable[[], object]:
        candidates = random_candidates(
            shapes, arch.resolution, people=people, rng=np.random.default_rng(seed)
        )
        return lambda: codec.group(candidates)

    return prepare


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
