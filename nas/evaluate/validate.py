"""Validation of any model on an annotated set: every figure by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.arrays import Floats
from nas.data.annotations import Annotations
from nas.data.images import ImageStore
from nas.errors import UserError
from nas.evaluate.by_size import SIZES, size_figures
from nas.evaluate.crowdpose import crowdpose_ap
from nas.evaluate.inputs import InputSource, KeptInputs
from nas.evaluate.oks import EVERY_AREA, Backend, coco_figures, oks_curves
from nas.evaluate.pck import match_people, pck
from nas.runtime.model import PoseModel
from nas.runtime.results import Detection, coco_results

NOBODY = -1.0
"""The figure of a metric where the set has nobody to measure it on."""


@dataclass(frozen=True)
class Result:
    """What a model scored.

    Args:
        figures: every metric by name; -1 where the set has nobody to measure it on.
        detections: COCO keypoint results, in image px.
        flip: whether every image was run mirrored as well.
        images: images of the set.
        people: labelled people of the set.
    """

    figures: Mapping[str, float]
    detections: Sequence[Detection] = field(repr=False)
    flip: bool
    images: int
    people: int

    def __getitem__(self, name: str) -> float:
        return self.figures[name]

    def to_json(self) -> dict[str, Any]:
        """Every figure by name, and how it came about."""
        return {**self.figures, "flip": self.flip, "images": self.images, "people": self.people}


@dataclass(frozen=True)
class ModelAnswers:
    """What a model finds in a set.

    Args:
        detections: COCO keypoint results, in image px, image by image.
        answers: [N, K, 3] the pose that answers each row of the set's people, NaN where there is none; None
            of a model for whole images.
    """

    detections: Sequence[Detection]
    answers: Floats | None

    def joined(self, other: "ModelAnswers") -> "ModelAnswers":
        """With what was found in further images of the same set."""
        answers = other.answers if self.answers is None else self.answers
        if self.answers is not None and other.answers is not None:
            answers = np.where(np.isnan(self.answers), other.answers, self.answers)
        return ModelAnswers([*self.detections, *other.detections], answers)


def validate(
    model: PoseModel,
    annotations: Annotations,
    *,
    batch_size: int = 32,
    store: ImageStore | None = None,
    workers: int = 2,
    backend: Backend = "faster",
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a model over a set and score what it finds.

    A model for whole images sees every image; a model for crops sees the true box of every labelled person,
    which flatters it against one that has to find people.

    Args:
        model: in torch or ONNX; whether it flips is its own property.
        annotations: the set, with images.
        batch_size: inputs run at once.
        store: images kept in memory, for sets that are validated often.
        workers: threads that read images.
        backend: as in `oks_ap`.
        progress: called with inputs done and inputs in all, after every batch.

    Raises:
        UserError: the model's skeleton is not the set's, or an image cannot be read.
    """
    found = find(
        model,
        annotations,
        batch_size=batch_size,
        store=store,
        workers=workers,
        progress=progress,
    )
    return score(found.detections, annotations, flip=model.flip, backend=backend, answers=found.answers)


def find(
    model: PoseModel,
    annotations: Annotations,
    *,
    batch_size: int = 32,
    store: ImageStore | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    images: Sequence[int] | None = None,
    kept: KeptInputs | None = None,
) -> ModelAnswers:
    """Run a model over a set, or over a part of it; for other arguments and errors see `validate`.

    Args:
        model, annotations: as in `validate`.
        images: positions of the only images to look at, in this order; None for all.
        kept: inputs of this set, for the next model.
    """
    if model.skeleton.keypoints != annotations.skeleton.keypoints:
        raise UserError(
            f"{annotations.path}: loaded with skeleton {annotations.skeleton.name!r}, but the model finds "
            f"{model.skeleton.name!r}"
        )
    source = InputSource(annotations, model, store=store, images=images, kept=kept)
    codec = model.codec
    detections: list[Detection] = []
    answers = np.full((len(annotations.people), len(annotations.skeleton.keypoints), 3), np.nan)
    done = 0
    for batch in source.batches(batch_size, workers=workers):
        candidates = model.candidates(np.stack([item.pixels for item in batch]))
        for item, candidate in zip(batch, candidates, strict=True):
            found = coco_results(
                codec.group(candidate),
                item.inverse,
                image_id=annotations.images[item.image].id,
                category_id=annotations.category,
            )
            detections += found
            if item.person is not None and found:
                answers[item.person] = np.reshape(found[0]["keypoints"], (-1, 3))
        done += len(batch)
        if progress is not None:
            progress(done, len(source))
    return ModelAnswers(detections, answers if model.task == "crop" else None)


def score(
    detections: Sequence[Detection],
    annotations: Annotations,
    *,
    flip: bool = False,
    backend: Backend = "faster",
    answers: NDArray[np.floating] | None = None,
) -> Result:
    """Score detections, wherever they come from.

    Args:
        detections: COCO keypoint results.
        annotations: the truth.
        flip: recorded in the result.
        backend: as in `oks_ap`.
        answers: [N, K, 3] the pose that answers each row of `annotations.people`, NaN where there is none.
            Left out, PCK takes the most similar detections of each image.

    Returns:
        COCO's ten figures; AP_small, AR_small and people_<size>; PCK_torso@t and PCK_head@t, overall and by
        keypoint, where the skeleton has these segments; CrowdPose_<figure> where all images have a crowd
        index.
    """
    skeleton = annotations.skeleton
    truth = annotations.to_coco()
    areas = {"all": EVERY_AREA, **SIZES}
    curves = oks_curves(truth, detections, skeleton, backend=backend, areas=areas)
    figures = {**size_figures(curves, areas, truth), **coco_figures(curves, list(areas))}
    if all(image.crowd_index is not None for image in annotations.images):
        crowd = crowdpose_ap(truth, detections, skeleton, backend=backend)
        figures |= {f"CrowdPose_{name}": figure for name, figure in crowd.items()}
    people = annotations.people
    if answers is None:
        answers = answers_of(detections, annotations)
    for reference in ("torso", "head"):
        if getattr(skeleton.pck, reference) is not None:
            labelled = people.labelled
            figures |= pck(answers[labelled], people.keypoints[labelled], skeleton, reference=reference)
    return Result(
        figures=figures,
        detections=detections,
        flip=flip,
        images=len(annotations.images),
        people=int(people.labelled.sum()),
    )


def answers_of(detections: Sequence[Detection], annotations: Annotations) -> Floats:
    """[N, K, 3] the most similar detection of each row of the set's people; NaN where there is none."""
    people = annotations.people
    found: dict[int, list[list[float]]] = {}
    for detection in detections:
        found.setdefault(detection["image_id"], []).append(detection["keypoints"])
    answers = np.full(people.keypoints.shape, np.nan)
    for position, image in enumerate(annotations.images):
        if image.id not in found:
            continue
        span = annotations.people_of(position)
        rows = np.arange(span.start, span.stop)[people.labelled[span]]
        answers[rows] = match_people(
            np.reshape(found[image.id], (-1, len(annotations.skeleton.keypoints), 3)),
            people.keypoints[rows],
            areas=people.areas[rows],
            skeleton=annotations.skeleton,
        )
    return answers
