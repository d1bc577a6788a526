"""Which of a file's categories is meant, and what its joints are called: one answer for every command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.coco.document import records
from nas.coco.values import Record, listed, whole
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton

ALL = "all"
"""Instead of a name: every category that has the same joints."""

PERSON = "person"


@dataclass(frozen=True)
class Category:
    """What is meant by a person.

    Args:
        ids: of the categories; None in a file that lists none, where all annotations are meant.
        name: for messages.
        joints: their names.
        named: whether the file itself names them; else they are those of the skeleton asked for.
    """

    ids: frozenset[int] | None
    name: str
    joints: tuple[str, ...]
    named: bool = True

    @property
    def id(self) -> int:
        """The one that stands for all of them."""
        return min(self.ids) if self.ids else 1

    def holds(self, row: Record) -> bool:
        """Whether an annotation belongs to it."""
        return self.ids is None or whole(row.get("category_id")) in self.ids


def choose_category(
    categories: Sequence[Any], path: Path, *, category: str | None = None, skeleton: Skeleton | None = None
) -> Category:
    """The category that is meant, with its joints.

    Args:
        categories: as the file lists them.
        path: the file, for messages.
        category: a name, or "all" for every category with the same joints; by default the only one that has
            joints, or the one called person.
        skeleton: what the joints are where the file does not name them.

    Raises:
        UserError: nothing is meant, or more than one thing could be; the message lists the names.
    """
    if skeleton is None and not any(
        item.get("keypoints") for item in records(categories, path, "categories")
    ):
        raise UserError(
            f"{path}: not a COCO keypoint file, no category names its 'keypoints'; "
            "where its annotations have keypoints, say of which skeleton they are"
        )
    chosen = choose_records(categories, path, category=category)
    name = listed(record.get("name") for record in chosen) or PERSON
    joints = {_joints(record, path) for record in chosen}
    if len(joints) > 1:
        raise UserError(
            f"{path}: the categories {name} have different joints; choose one of them by its name"
        )
    named = next(iter(joints), ())
    ids = category_ids(chosen, path)
    return Category(ids, name, named or (skeleton.keypoints if skeleton else ()), bool(named))


def categories_of(content: Mapping[str, Any], path: Path) -> list[Any]:
    """What a file lists; nothing where it lists none. Raises UserError where that is no list."""
    categories = content.get("categories") or []
    if not isinstance(categories, list):
        raise UserError(f"{path}: not a COCO file, its 'categories' are no list")
    return categories


def choose_records(categories: Sequence[Any], path: Path, *, category: str | None) -> list[Record]:
    """The categories that are meant, those with joints before others; none in a file without any."""
    found = records(categories, path, "categories")
    keypointed = [record for record in found if record.get("keypoints")]
    candidates = keypointed or found
    if category is not None:
        called = [record for record in candidates if _is_called(record, category)]
        if called:
            return called
        if category == ALL and candidates:
            return candidates
        names = listed(record.get("name") for record in candidates) or "none"
        raise UserError(f"{path}: no category is called {shown(category)}; its categories: {names}")
    if len(candidates) <= 1:
        return candidates
    people = [record for record in candidates if _is_called(record, PERSON)]
    if len(people) == 1:
        return people
    kinds = "several categories have keypoints" if keypointed else "it has several categories"
    raise UserError(
        f"{path}: {kinds} ({listed(record.get('name') for record in candidates)}); choose by category: "
        f"one of these names, or {ALL!r} for every one with the same joints"
    )


def category_ids(chosen: Sequence[Record], path: Path) -> frozenset[int] | None:
    """Their ids; None of no category. Raises UserError for one without."""
    ids = [whole(record.get("id")) for record in chosen]
    for id_, record in zip(ids, chosen, strict=True):
        if id_ is None:
            raise UserError(
                f"{path}: category {shown(record.get('name'))}: 'id' must be an integer, "
                f"got {shown(record.get('id'))}"
            )
    return frozenset(id_ for id_ in ids if id_ is not None) if ids else None


def other_joints(own: Sequence[str], skeleton: Skeleton) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The joints of a skeleton that a file lacks, and those of the file that the skeleton lacks."""
    file = file_skeleton("file", own)
    missing = tuple(
        name for name, at in zip(skeleton.keypoints, skeleton.joints_of(file), strict=True) if at < 0
    )
    further = tuple(name for name, at in zip(own, file.joints_of(skeleton), strict=True) if at < 0)
    return missing, further


def file_skeleton(name: str, joints: Sequence[str]) -> Skeleton:
    """A file's own joints, of which neither flip pairs nor sigmas are known."""
    return Skeleton(name=name, keypoints=tuple(joints), flip_pairs=(), sigmas=())


def map_joints(keypoints: Floats, source: Skeleton, wanted: Skeleton) -> Floats:
    """Joints [..., K, 3] of one skeleton as another's, by name; unlabelled where the source lacks one."""
    positions = np.array(wanted.joints_of(source))
    mapped = np.zeros((*keypoints.shape[:-2], len(wanted), 3))
    mapped[..., positions >= 0, :] = keypoints[..., positions[positions >= 0], :]
    return mapped


def _is_called(record: Record, name: str) -> bool:
    own = record.get("name")
    return isinstance(own, str) and own.casefold() == name.casefold()


def _joints(record: Record, path: Path) -> tuple[str, ...]:
    joints = record.get("keypoints") or []
    if not isinstance(joints, list) or not all(isinstance(name, str) for name in joints):
        raise UserError(f"{path}: the category's 'keypoints' must be a list of names, got {shown(joints)}")
    if len(set(joints)) != len(joints):
        raise UserError(f"{path}: the category names a keypoint twice: {shown(joints)}")
    return tuple(joints)
