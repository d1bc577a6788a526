"""The codec of a head from elsewhere, whose decode gives neither keypoints nor candidates."""

import numpy as np

from nas.codecs.base import Candidates, Codec, Targets
from nas.codecs.confidence import PLAIN, Anchors
from nas.codecs.types import People, Poses


class RankedCodec(Codec):
    """Joints are told by the order of cells: grouping makes no sense of anything but an order."""

    task = "image"
    packages = ("an-assignment-solver",)

    @property
    def anchors(self) -> Anchors:
        return PLAIN

    def encode(self, people: People) -> Targets:
        raise NotImplementedError

    def decode_maps(self, outputs: object) -> Candidates:
        raise NotImplementedError

    def typical_candidates(self, shapes, *, people, rng):  # type: ignore[no-untyped-def]
        joints, cells = shapes["order"]
        return {"order": np.array([rng.permutation(cells) for _ in range(joints)], np.float32)}

    def group(self, candidates: object) -> Poses:
        order = candidates["order"]  # type: ignore[index]
        if (np.sort(order) != np.arange(order.shape[1])).any():
            raise ValueError("this is no order")
        return Poses(np.zeros((0, len(order), 3)), np.zeros(0))
