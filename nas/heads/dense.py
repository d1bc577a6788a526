"""Dense head for many people (YOLO-Pose, Maji et al. 2022): box and keypoints from every cell of a grid."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.codecs.confidence import found_confidence
from nas.codecs.dense import (
    BOX,
    BRANCHES,
    CANDIDATES,
    KEYPOINT_THRESHOLD,
    OVERLAP,
    ROUNDS,
    SCORE_THRESHOLD,
    STRIDES,
    cell_centres,
)
from nas.heads.base import HeadPlace, Outputs, PoseHead, SeparableOutput, weighted_mean
from nas.heads.boxes import areas, complete_overlap_loss, intersection_and_union
from nas.heads.dense_answers import Answers, Assignment, assigned
from nas.heads.similarity import object_keypoint_similarity, relative_distance
from nas.heads.simota import one_to_many, one_to_one
from nas.layers import (
    Context,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticDepthwiseConv2d,
    Level,
    LevelFeatures,
    widened,
)
from nas.space.arch import Head as HeadArch

OUTPUT_STD = 0.01
ACTIVATION = "relu6"
BOX_WEIGHT = 1.0
JOINTS_WEIGHT = 2.0
DISTANCE_WEIGHT = 1.0
CONFIDENCE_WEIGHT = OBJECTNESS_WEIGHT = 0.5
MANY, ONE = BRANCHES["nms"], BRANCHES["one_to_one"]
ASSIGNMENTS: dict[str, Assignment] = {MANY: one_to_many, ONE: one_to_one}


class DenseHead(PoseHead):
    """A light tower per grid, whose cells answer for people.

    Outputs `many_S` [B, 5 + 3 K, H/S, W/S] for the stride S of each of the neck's levels, as `DenseCodec`
    describes them. With decode "one_to_one" a second branch on the same features, `one_S`, is trained beside
    the first and sends no gradient to the body (YOLOv10, Wang et al. 2024); scoring runs it alone.
    """

    sigmas: Tensor

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        self.places = {
            level.stride: number for number, level in enumerate(place.levels) if level.stride in STRIDES
        }
        if STRIDES[-1] not in self.places:
            raise ValueError(f"the dense head needs a neck with a level of stride {STRIDES[-1]}")
        self.branches = nn.ModuleDict(
            {
                branch: nn.ModuleDict(
                    {
                        str(stride): _Tower(place.levels[number], self.keypoints)
                        for stride, number in self.places.items()
                    }
                )
                for branch in ([MANY, ONE] if "one_to_one" in place.options["decode"] else [MANY])
            }
        )
        self.register_buffer("sigmas", torch.tensor(place.skeleton.sigmas), persistent=False)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        decoded = BRANCHES[str(head.option("decode"))]
        outputs: Outputs = {}
        # The branch that is there for training only costs nothing afterwards.
        if decoded == MANY or self.training or context.uses_batch_statistics:
            outputs |= self._branch(MANY, levels, context)
        if decoded == ONE:
            detached = tuple((x.detach(), None if raw is None else raw.detach()) for x, raw in levels)
            outputs |= self._branch(ONE, detached, context)
        return outputs

    def _branch(self, branch: str, levels: tuple[LevelFeatures, ...], context: Context) -> Outputs:
        towers = self.branches[branch]
        assert isinstance(towers, nn.ModuleDict)
        return {
            f"{branch}_{stride}": towers[str(stride)](levels[place], context)
            for stride, place in self.places.items()
        }

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """CIoU of boxes, 1 - OKS and distance of joints, cross-entropies of confidences and objectness.

        For each branch. The first four are means over the cells that answer for somebody; objectness, summed
        over all cells, is divided by their number too. A cell is to be as sure of itself as its joints are
        good (OKS).

        Targets: `boxes` [B, P, 4] px, `joints` [B, P, K, 3] x, y (px), 1 where labelled, and `mask`
        [B, H/8, W/8].
        """
        terms: dict[str, Tensor] = {}
        for branch in self._branches_of(outputs):
            found = self._branch_loss(outputs, branch, targets)
            terms |= {f"{branch}_{name}": term for name, term in found.items()}
        return terms

    def _branch_loss(self, outputs: Outputs, branch: str, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        answers = self._answers(outputs, branch, list(self.places))
        boxes, joints = targets["boxes"].to(answers.rows.dtype), targets["joints"].to(answers.rows.dtype)
        image, cell, person = assigned(
            answers, boxes, joints, self.sigmas.to(answers.rows), ASSIGNMENTS[branch]
        )
        chosen, box, joint = answers.at(image, cell), boxes[image, person], joints[image, person]
        count = max(len(image), 1)
        similarity = object_keypoint_similarity(
            chosen.joints, joint, areas(box), self.sigmas.to(answers.rows)
        )
        confidence = _cross_entropy(chosen.confidences, joint[..., 2]).mean(-1)

        wanted, counts = torch.zeros_like(answers.logits), self._counts(targets["mask"], outputs, branch)
        wanted[image, cell] = similarity.detach()
        counts[image, cell] = True
        objectness = _cross_entropy(answers.logits, wanted) * counts
        return {
            "box": BOX_WEIGHT * complete_overlap_loss(chosen.boxes, box).sum() / count,
            "joints": JOINTS_WEIGHT * (1 - similarity).sum() / count,
            "distance": DISTANCE_WEIGHT * relative_distance(chosen.joints, joint, areas(box)).sum() / count,
            "confidence": CONFIDENCE_WEIGHT * confidence.sum() / count,
            "objectness": OBJECTNESS_WEIGHT * objectness.sum() / count,
        }

    def _counts(self, mask: Tensor, outputs: Outputs, branch: str) -> Tensor:
        """[B, A] True for cells of which more than half counts."""
        sizes = [outputs[f"{branch}_{stride}"].shape for stride in self.places]
        parts = [F.adaptive_avg_pool2d(mask.unsqueeze(1), (h, w)).flatten(1) for *_, h, w in sizes]
        return torch.cat(parts, dim=1) > 0.5

    def distill(self, student: Outputs, teacher: Outputs) -> Tensor:
        """Distance to the teacher's objectness and, as far as it sees somebody, to its boxes and joints.

        Boxes, joints and confidences are compared at the teacher's 100 surest cells of each image, weighted
        by its objectness, with the terms of the loss.
        """
        total = student[next(iter(student))].new_zeros(())
        # A teacher on another neck may have other levels, one of another option one branch only.
        both = {name: part for name, part in student.items() if name in teacher}
        for branch in self._branches_of(both):
            strides = [stride for stride in self.places if f"{branch}_{stride}" in both]
            total = total + self._branch_distance(
                self._answers(student, branch, strides), self._answers(teacher, branch, strides)
            )
        return total

    def _branch_distance(self, student: Answers, teacher: Answers) -> Tensor:
        sure = torch.sigmoid(teacher.logits)
        objectness = _relative_entropy(student.logits, teacher.logits).sum() / sure.sum().clamp(min=1)
        cell = sure.topk(min(CANDIDATES, sure.shape[1]), dim=1).indices
        image = torch.arange(len(cell), device=cell.device).unsqueeze(1)
        learner, model, weight = student.at(image, cell), teacher.at(image, cell), sure[image, cell]
        box, seen = model.boxes, torch.sigmoid(model.confidences).unsqueeze(-1)
        joints = torch.cat([model.joints, seen], dim=-1)
        similarity = object_keypoint_similarity(
            learner.joints, joints, areas(box), self.sigmas.to(teacher.rows)
        )
        ideal = seen.squeeze(-1).sum(-1) / seen.squeeze(-1).sum(-1).clamp(min=1)
        terms = (
            BOX_WEIGHT * complete_overlap_loss(learner.boxes, box)
            + JOINTS_WEIGHT * (ideal - similarity)
            + DISTANCE_WEIGHT * relative_distance(learner.joints, joints, areas(box))
            + CONFIDENCE_WEIGHT * _relative_entropy(learner.confidences, model.confidences).mean(-1)
        )
        return OBJECTNESS_WEIGHT * objectness + weighted_mean(terms, weight)

    def merge_flip(self, outputs: Outputs, mirrored: Outputs, flip_index: Sequence[int]) -> Outputs:
        """Averages of raw outputs, cell by cell."""
        count = self.keypoints
        order = [*range(BOX), *(BOX + part * count + k for part in range(3) for k in flip_index)]
        signs = torch.ones(len(order))
        signs[[0, *range(BOX, BOX + count)]] = -1
        return {
            name: (maps + mirrored[name][:, order].flip(3) * signs.to(maps).reshape(1, -1, 1, 1)) / 2
            for name, maps in outputs.items()
        }

    def decode(self, outputs: Outputs, head: HeadArch) -> Outputs:
        """The poses, best first.

        Returns:
            keypoints [B, people, K, 3]: x, y (input px), confidence or 0.
            scores [B, people].
            boxes [B, people, 4]: x0, y0, x1, y1 (input px).
        """
        branch = BRANCHES[str(head.option("decode"))]
        people = int(head.option("people"))
        maps = [outputs[f"{branch}_{stride}"] for stride in self.places]
        surest = _surest(
            torch.cat([part.flatten(2) for part in maps], dim=2), _cells(list(self.places), maps)
        )
        scores = torch.sigmoid(surest.logits)
        scores = scores * (scores >= SCORE_THRESHOLD)
        if branch == MANY:
            scores = scores * suppress(surest.boxes)
        scores, best = torch.topk(scores, min(people, scores.shape[1]), dim=1)
        found = _gathered(surest, best)
        probabilities = torch.sigmoid(found.confidences)
        probabilities = probabilities * (probabilities >= KEYPOINT_THRESHOLD)
        confidences = found_confidence(probabilities, self.anchors(head), library=torch)
        keypoints = torch.cat([found.joints, confidences.unsqueeze(3)], dim=3)
        somebody = (scores > 0).unsqueeze(2)
        keypoints, boxes = keypoints * somebody.unsqueeze(3), found.boxes * somebody
        if missing := people - scores.shape[1]:
            keypoints, scores = F.pad(keypoints, (0, 0, 0, 0, 0, missing)), F.pad(scores, (0, missing))
            boxes = F.pad(boxes, (0, 0, 0, missing))
        return {"keypoints": keypoints, "scores": scores, "boxes": boxes}

    def _branches_of(self, outputs: Outputs) -> list[str]:
        return [branch for branch in ASSIGNMENTS if f"{branch}_{STRIDES[-1]}" in outputs]

    def _answers(self, outputs: Outputs, branch: str, strides: Sequence[int]) -> Answers:
        """What all cells of a branch's grids say, [B, A]."""
        maps = [outputs[f"{branch}_{stride}"] for stride in strides]
        rows = widened(torch.cat([part.flatten(2) for part in maps], dim=2)).transpose(1, 2)
        return Answers(rows, _cells(strides, maps).to(rows).expand(len(rows), -1, -1))


class _Tower(nn.Module):
    """Two separable convolutions to box and objectness, two to the keypoints; the first one is shared.

    Args:
        level: what comes in.
        keypoints: how many of them.
    """

    def __init__(self, level: Level, keypoints: int) -> None:
        super().__init__()
        channels = level.channels
        self.depthwise = ElasticDepthwiseConv2d(channels, (5,))
        self.depthwise_norm = ElasticBatchNorm2d(channels)
        self.pointwise = ElasticConv2d(channels, channels, 1, bias=False)
        self.norm = ElasticBatchNorm2d(channels)
        for layer in (self.depthwise, self.pointwise):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        self.box = SeparableOutput(level, BOX, std=OUTPUT_STD)
        self.keypoints = SeparableOutput(level, 3 * keypoints, std=OUTPUT_STD)

    def forward(self, features: LevelFeatures, context: Context) -> Tensor:
        """(refined, raw) [B, C, h, w] -> [B, 5 + 3 K, h, w]."""
        x, raw = features
        x = self.depthwise_norm.activated(self.depthwise(x, 5, context), context, ACTIVATION)
        x = self.norm.activated(self.pointwise(x, x.shape[1], context), context, ACTIVATION)
        return torch.cat([self.box((x, raw), context), self.keypoints((x, raw), context)], dim=1)


def suppress(boxes: Tensor) -> Tensor:
    """1 for boxes [B, N, 4], best first, that survive non-maximum suppression, else 0: [B, N].

    As `nas.codecs.dense.suppress`, in tensor operations of fixed shapes: unlike ONNX's own operator, whose
    output has as many rows as there are survivors, they are traced, quantised and timed as all others are.
    """
    shared, union = intersection_and_union(boxes.unsqueeze(2), boxes.unsqueeze(1))
    count = boxes.shape[1]
    better = torch.ones(count, count, device=boxes.device, dtype=boxes.dtype).triu(1)
    overlaps = (shared > OVERLAP * union) * better
    kept = overlaps.sum(dim=1, keepdim=True) < 0.5
    for _ in range(ROUNDS - 1):
        kept = torch.matmul(kept.to(boxes.dtype), overlaps) < 0.5
    return kept.squeeze(1).to(boxes.dtype)


def _cells(strides: Sequence[int], maps: Sequence[Tensor]) -> Tensor:
    """[A, 3] x, y (px) and stride of all cells of maps [B, C, h, w]."""
    sizes = [(part.shape[2], part.shape[3]) for part in maps]
    return torch.from_numpy(cell_centres(zip(strides, sizes, strict=True)))


def _surest(rows: Tensor, cells: Tensor) -> Answers:
    """The 100 cells of the highest objectness, best first, of rows [B, 5 + 3 K, A] and cells [A, 3]."""
    _, index = torch.topk(rows[:, BOX - 1], min(CANDIDATES, rows.shape[2]), dim=1)
    chosen = rows.gather(2, index.unsqueeze(1).expand(-1, rows.shape[1], -1))
    places = cells.to(rows.device, rows.dtype).expand(rows.shape[0], -1, -1)
    return Answers(chosen.transpose(1, 2), places.gather(1, index.unsqueeze(2).expand(-1, -1, 3)))


def _gathered(answers: Answers, index: Tensor) -> Answers:
    """Those [B, M] of answers [B, N]."""
    place = index.unsqueeze(2)
    return Answers(
        answers.rows.gather(1, place.expand(-1, -1, answers.rows.shape[2])),
        answers.cells.gather(1, place.expand(-1, -1, 3)),
    )


def _cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def _relative_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the Bernoulli distributions of logits `wanted`; 0 for equal ones."""
    probability = torch.sigmoid(wanted)
    return _cross_entropy(logits, probability) - _cross_entropy(wanted, probability)
