"""Whether several runs can be searched as one: their accuracies must mean the same, of the same people."""

import hashlib
from collections.abc import Iterable, Sequence

from nas.data import Annotations
from nas.data.identity import images_digest, labels_digest
from nas.digests import file_digest
from nas.errors import UserError
from nas.runs.data import RunData
from nas.runs.folder import RunFolder
from nas.space import Skeleton

_TASKS = {"crop": "one person at a time", "image": "whole pictures"}
_SCORED_BY = ("keypoints", "flip_pairs", "sigmas", "limbs", "pck")
"""What scores and networks depend on of a skeleton."""


def require_alike(runs: Sequence[RunFolder]) -> None:
    """Raises UserError where a run has another task or skeleton than the first, or the same supernet."""
    first, supernets = runs[0], dict[str, RunFolder]()
    task, skeleton = _task_and_skeleton(first)
    for run in runs:
        same = supernets.setdefault(file_digest(run.require_weights()), run)
        if same is not run:
            raise UserError(f"`also` {run.path}: the same supernet as {same.path}; leave it out")
        theirs, other = _task_and_skeleton(run)
        if theirs != task:
            raise UserError(
                f"`also` {run.path}: its networks look at {_TASKS[theirs]}, those of {first.path} at "
                f"{_TASKS[task]}, and neither accuracies nor milliseconds compare: search them one by one"
            )
        if differing := [name for name in _SCORED_BY if getattr(other, name) != getattr(skeleton, name)]:
            raise UserError(
                f"`also` {run.path}: its skeleton {other.name} has other {', '.join(differing)} than that of "
                f"{first.path}, {skeleton.name}, so accuracies do not compare: search them one by one"
            )


def require_same_people(runs: Sequence[RunFolder], data: Sequence[RunData]) -> None:
    """Raises UserError where runs keep other people for the search, or some run has learned from them.

    People are known by names and sizes of images and by labels, and not by ids alone.
    """
    first = runs[0]
    kept = [[(images_digest(part), labels_digest(part)) for part in each.search] for each in data]
    for run, theirs in zip(runs, kept, strict=True):
        if [images for images, _ in theirs] != [images for images, _ in kept[0]]:
            raise UserError(
                f"`also` {run.path}: keeps other images for the search than {first.path}, so accuracies do "
                "not compare: train both on the same images"
            )
        if theirs != kept[0]:
            raise UserError(
                f"`also` {run.path}: keeps the images of {first.path} for the search, but with other labels, "
                "so accuracies do not compare: train both on the same labels"
            )
    scored = _known_by_labels(data[0].search)
    seen = [scored & _known_by_labels(each.split.train(each.sources)) for each in data]
    # What all of them have learned from (a picture that their data hold twice) is no advantage of any.
    by_all = set.intersection(*seen)
    for run, known in zip(runs, seen, strict=True):
        if unfair := known - by_all:
            raise UserError(
                f"{run.path}: learned from {len(unfair)} of the images that networks are scored on, under "
                "other names, and not all of the runs did: search it by itself"
            )


def _task_and_skeleton(run: RunFolder) -> tuple[str, Skeleton]:
    config = run.config()
    return config.load_space().task, Skeleton.load(config.skeleton)


def _known_by_labels(parts: Iterable[Annotations]) -> set[bytes]:
    """The images with labelled people, whatever their ids and names."""
    found = set()
    for part in parts:
        for position in part.labelled_images.tolist():
            rows = part.people_of(position)
            digest = hashlib.sha256(repr(tuple(part.images[position].size)).encode())
            digest.update(part.people.keypoints[rows].tobytes())
            digest.update(part.people.bbox[rows].tobytes())
            found.add(digest.digest())
    return found
