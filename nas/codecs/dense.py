"""People as a box and keypoints at every cell of several grids (YOLO-Pose, Maji et al., CVPR workshops 2022).

Anchor-free, as YOLOX (Ge et al. 2021) and RTMO (Lu et al., CVPR 2024) are: one prediction per cell.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from nas.arrays import Flags, Floats
from nas.codecs.base import Candidates, Codec, Targets, group_direct
from nas.codecs.confidence import Anchors
from nas.codecs.maps import to_pixels
from nas.codecs.types import People, Poses

STRIDES = (64, 32, 16, 8)
"""Of the grids (px) that can take part, coarsest first; the last one always does."""

BOX = 5
"""Channels before those of the keypoints: box centre x, y, logarithm of width and height, objectness."""

MAX_PEOPLE = 60
CANDIDATES = 100
"""Cells that go through non-maximum suppression; also the largest number of people that can be asked for."""

OVERLAP = 0.65
"""Intersection over union of boxes from which on they are one person's."""

ROUNDS = 8
KEYPOINT_THRESHOLD = 0.5
SCORE_THRESHOLD = 0.01
PRIOR = -4.6
"""Logit of the objectness (a hundredth) for a raw output of 0: nearly all cells show nobody."""

LARGEST_LOG = 7.0
"""Bound on the raw box size: e^7 cells."""

BRANCHES = {"nms": "many", "one_to_one": "one"}
"""By option `decode`, the branch whose outputs are decoded."""

SURE = 20.0
"""Logit of an ideal network's certainty."""


def cell_centres(grids: Iterable[tuple[int, tuple[int, int]]]) -> Floats:
    """[A, 3] x, y (px) and stride of all cells of grids given as (stride, (h, w)), one after the other."""
    parts = []
    for stride, (height, width) in grids:
        y, x = np.mgrid[:height, :width]
        pixels = to_pixels(np.column_stack([x.ravel(), y.ravel()]), stride)
        parts.append(np.column_stack([pixels, np.full(height * width, stride)]))
    return np.concatenate(parts)


class DenseCodec(Codec):
    """Everyone's box and keypoints; which cells predict them is decided in the loss.

    Raw outputs `many_S` or `one_S` [5 + 3 K, h, w] for every stride S hold, per cell, the box's centre in
    cells relative to the cell's own, the logarithms of its width and height in cells, objectness (a logit
    less `PRIOR`), then K x, K y in cells relative to the cell, and K confidences (logits).
    Ideal outputs -> decode_maps -> group gives back every labelled keypoint within 1e-3 px in float32
    (1e-9 px in float64), for people whose boxes overlap less than 0.65 or with decode "one_to_one".

    Options:
        decode: "nms" (one-to-many branch and non-maximum suppression) or "one_to_one" (a branch that is
            trained to answer once per person; nothing to suppress).
        people: how many poses are given, at most 100.
    """

    head: ClassVar[str] = "dense"
    packages: ClassVar[tuple[str, ...]] = ("scipy",)

    @property
    def anchors(self) -> Anchors:
        """A raw score says how probable it is that the keypoint is to be seen: a half of a logit of 0.

        From there on keypoints count as found.
        """
        return Anchors(full=1.0, none=KEYPOINT_THRESHOLD)

    @property
    def decode(self) -> str:
        """How poses are chosen among the cells."""
        return str(self.options["decode"])

    @property
    def people(self) -> int:
        """How many poses are given."""
        return int(self.options["people"])

    def encode(self, people: People) -> Targets:
        """Targets of one input.

        Keypoints outside of the input count as unlabelled. The 60 people with the largest boxes are kept; the
        boxes of others, and of people of whom no labelled keypoint is to be seen, are masked.

        Returns:
            boxes [60, 4]: float32, x0, y0, x1, y1 (px) of the part within the input.
            joints [60, K, 3]: float32, x, y (px) and 1 where labelled; all 0 for absent people.
            mask [H/8, W/8]: float32, the share of each cell in which the objectness loss counts.
        """
        boxes, joints = self._visible(people)
        seen = (joints[..., 2] > 0).any(1)
        sizes = np.where(seen, (boxes[:, 2:] - boxes[:, :2]).prod(1), -1.0)
        order = np.argsort(-sizes, kind="stable")
        kept = order[: min(MAX_PEOPLE, int(seen.sum()))]
        mask = np.ones(self.resolution, np.float32) if people.mask is None else people.mask.astype(np.float32)
        for x0, y0, x1, y1 in np.rint(boxes[order[len(kept) :]]).astype(np.int64):
            mask[y0 : y1 + 1, x0 : x1 + 1] = 0
        targets: Targets = {
            "boxes": np.zeros((MAX_PEOPLE, 4), np.float32),
            "joints": np.zeros((MAX_PEOPLE, self.keypoints, 3), np.float32),
        }
        targets["boxes"][: len(kept)] = boxes[kept]
        targets["joints"][: len(kept)] = joints[kept]
        height, width = self.grid(STRIDES[-1])
        blocks = mask.reshape(height, STRIDES[-1], width, STRIDES[-1])
        return {**targets, "mask": blocks.mean((1, 3))}

    def _visible(self, people: People) -> tuple[Floats, Floats]:
        """Boxes [P, 4] cut at the input's border, and keypoints [P, K, 3] with 1 for labelled ones inside."""
        keypoints = np.asarray(people.keypoints, np.float64).reshape(-1, self.keypoints, 3)
        last = np.array(self.resolution[::-1]) - 1.0
        xy = keypoints[..., :2]
        labelled = ((xy >= -0.5) & (xy < last + 0.5)).all(-1) & (keypoints[..., 2] > 0)
        boxes = np.asarray(people.boxes, np.float64).reshape(-1, 2, 2).clip(0, last).reshape(-1, 4)
        return boxes, np.concatenate([np.where(labelled[..., None], xy, 0), labelled[..., None]], axis=-1)

    def ideal_maps(self, people: People) -> dict[str, Floats]:
        """A perfect network's outputs: each person answers at the free cell that is nearest to the box."""
        boxes, joints = self._visible(people)
        grids = [(stride, self.grid(stride)) for stride in self.strides if stride in STRIDES]
        places = cell_centres(grids)
        rows = np.zeros((BOX + 3 * self.keypoints, len(places)))
        rows[BOX - 1] = -SURE
        for box, joint in zip(boxes, joints, strict=True):
            low, high = box.reshape(2, 2)
            distance = np.hypot(*(places[:, :2] - (low + high) / 2).T)
            cell = int(np.where(rows[BOX - 1] > 0, np.inf, distance).argmin())
            x, y, stride = places[cell]
            rows[: BOX - 1, cell] = [
                *(((low + high) / 2 - (x, y)) / stride),
                *np.log(np.maximum(high - low, 1.0) / stride),
            ]
            rows[BOX - 1, cell] = SURE
            rows[BOX:, cell] = [
                *(joint[:, 2] * (joint[:, 0] - x) / stride),
                *(joint[:, 2] * (joint[:, 1] - y) / stride),
                *np.where(joint[:, 2] > 0, SURE, -SURE),
            ]
        ends = np.cumsum([height * width for _, (height, width) in grids])[:-1]
        return {
            f"{BRANCHES[self.decode]}_{stride}": part.reshape(-1, *grid)
            for (stride, grid), part in zip(grids, np.split(rows, ends, axis=1), strict=True)
        }

    def decode_maps(self, outputs: Mapping[str, NDArray[np.floating]]) -> Candidates:
        """What the best cells say, best first.

        Returns:
            keypoints [people, K, 3]: x, y (px), confidence; 0 of those that are less probable than 0.5.
            scores [people].
            boxes [people, 4]: x0, y0, x1, y1 (px).

        Rows that are left over are padding, all 0.
        """
        branch = BRANCHES[self.decode]
        strides = [stride for stride in STRIDES if f"{branch}_{stride}" in outputs]
        maps = [outputs[f"{branch}_{stride}"] for stride in strides]
        places = cell_centres((s, (m.shape[1], m.shape[2])) for s, m in zip(strides, maps, strict=True))
        rows = np.concatenate([m.reshape(len(m), -1) for m in maps], axis=1)
        best = np.argsort(-rows[BOX - 1], kind="stable")[:CANDIDATES]
        rows, (x, y, stride) = rows[:, best], places[best].T
        scores = expit(rows[BOX - 1] + PRIOR)
        scores = np.where(scores >= SCORE_THRESHOLD, scores, 0.0)
        middle = rows[:2] * stride + (x, y)
        half = np.exp(rows[2:4].clip(-LARGEST_LOG, LARGEST_LOG)) * stride / 2
        boxes = np.concatenate([middle - half, middle + half]).T
        if self.decode == "nms":
            scores = scores * suppress(boxes)
        best = np.argsort(-scores, kind="stable")[: self.people]
        along_x, along_y, logits = rows[BOX:, best].reshape(3, self.keypoints, -1)
        values = expit(logits)
        values = np.where(values >= KEYPOINT_THRESHOLD, values, 0.0)
        found = np.stack([along_x * stride[best] + x[best], along_y * stride[best] + y[best], values])
        found *= scores[best] > 0
        padding = self.people - len(best)
        raw = {
            "keypoints": np.pad(found.transpose(2, 1, 0), ((0, padding), (0, 0), (0, 0))),
            "scores": np.pad(scores[best], (0, padding)),
            "boxes": np.pad(boxes[best] * (scores[best, None] > 0), ((0, padding), (0, 0))),
        }
        return self.confident(raw)

    def group(self, candidates: Mapping[str, NDArray[np.floating]]) -> Poses:
        """The poses of positive score."""
        return group_direct(candidates)


def suppress(boxes: NDArray[np.floating], rounds: int = ROUNDS) -> Flags:
    """Which boxes [N, 4], best first, survive non-maximum suppression: [N].

    Cluster NMS (Zheng et al. 2021): everyone is kept at first; in each round those are kept that overlap no
    better one that was kept in the round before. That is the greedy algorithm's result as soon as a round
    changes nothing; after n rounds the n best boxes are settled in any case.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    shared = (np.minimum(high, boxes[:, 2:]) - np.maximum(low, boxes[:, :2])).clip(0).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    overlaps = np.triu(shared > OVERLAP * (areas[:, None] + areas - shared), 1)
    kept = np.ones(len(boxes), np.bool_)
    for _ in range(rounds):
        kept = ~(overlaps & kept[:, None]).any(0)
    return kept
