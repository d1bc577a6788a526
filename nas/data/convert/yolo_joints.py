"""What the joints of a YOLO pose set are: names, order, and how many numbers each takes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.coco.categories import file_skeleton
from nas.documents import shown
from nas.errors import UserError
from nas.space.skeleton import Skeleton

_COCO_JOINTS = 17


@dataclass(frozen=True)
class YoloJoints:
    """The joints in the order of the label files.

    Args:
        skeleton: their names.
        values: numbers for each joint, 2 or 3; None where the set does not say.
        remarks: what was assumed.
    """

    skeleton: Skeleton
    values: int | None
    remarks: tuple[str, ...] = ()


def yolo_joints(
    facts: Mapping[Any, Any], skeleton: Skeleton | None, source: Path, *, classes: Collection[int] = ()
) -> YoloJoints:
    """The joints that `data.yaml` names (`kpt_names`), else those of the given skeleton, else COCO's 17.

    Args:
        facts: the content of `data.yaml`.
        skeleton: the wanted joints.
        source: for messages.
        classes: those that are people; none where all are.

    Raises:
        UserError: nothing says what the joints are; their number or `flip_idx` contradicts the skeleton.
    """
    count, values = _shape(facts, source)
    names = _names(facts, source, classes)
    remarks: tuple[str, ...] = ()
    if names is not None:
        own = file_skeleton(str(source), names)
    elif skeleton is not None:
        own = skeleton
    elif count == _COCO_JOINTS:
        own = Skeleton.load("coco17")
        remarks = ("17 joints without names: taken as COCO's",)
    else:
        stated = "does not say how many joints" if count is None else f"has {count} joints without names"
        raise UserError(f"{source}: it {stated}; say what they are by `skeleton`")
    if count is not None and count != len(own):
        other = "'kpt_names'" if names else own.name
        raise UserError(f"{source}: 'kpt_shape' states {count} joints, {other} has {len(own)}")
    _check_flip(facts, own, skeleton if names or skeleton else own, source)
    return YoloJoints(own, values, remarks)


def _shape(facts: Mapping[Any, Any], source: Path) -> tuple[int | None, int | None]:
    shape = facts.get("kpt_shape")
    if shape is None:
        return None, None
    good = isinstance(shape, list) and len(shape) == 2 and all(type(number) is int for number in shape)
    if not good or shape[0] < 1 or shape[1] not in (2, 3):
        raise UserError(f"{source}: 'kpt_shape' must be [number of joints, 2 or 3], got {shown(shape)}")
    return shape[0], shape[1]


def _names(facts: Mapping[Any, Any], source: Path, classes: Collection[int]) -> tuple[str, ...] | None:
    """The joints' names: a list, or one list for each class."""
    names = facts.get("kpt_names")
    if isinstance(names, dict):
        wanted = {str(class_) for class_ in classes}
        lists = [value for class_, value in names.items() if value and (not wanted or str(class_) in wanted)]
        if any(value != lists[0] for value in lists):
            raise UserError(
                f"{source}: 'kpt_names' names other joints for one class of people than for another"
            )
        names = lists[0] if lists else None
    if names is None:
        return None
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not named or len(set(names)) != len(names):
        raise UserError(f"{source}: 'kpt_names' must be a list of different names")
    return tuple(names)


def _check_flip(facts: Mapping[Any, Any], own: Skeleton, wanted: Skeleton | None, source: Path) -> None:
    """Mirrored joints that do not fit mean that the skeleton is another one, or in another order."""
    flip = facts.get("flip_idx")
    if flip is None:
        return
    count = len(own)
    if not isinstance(flip, list) or any(type(joint) is not int for joint in flip) or len(flip) != count:
        raise UserError(
            f"{source}: 'flip_idx' must name the mirror image of each of {count} joints, got {shown(flip)}"
        )
    for joint, mirrored in enumerate(flip):
        if not 0 <= mirrored < count or flip[mirrored] != joint:
            back = f"and {mirrored} into {flip[mirrored]}" if 0 <= mirrored < count else "which is no joint"
            raise UserError(
                f"{source}: 'flip_idx' turns joint {joint} into {mirrored}, {back}; mirroring twice must "
                "give the same joint again"
            )
    if wanted is None:
        return
    # Where the set names its joints it may have others, and in another order.
    places = wanted.joints_of(own)
    for joint, place in enumerate(places):
        mirrored = places[wanted.flip_index[joint]]
        if min(place, mirrored) >= 0 and flip[place] != mirrored:
            name, theirs, ours = (shown(own.keypoints[n]) for n in (place, flip[place], mirrored))
            raise UserError(
                f"{source}: 'flip_idx' says that {name} mirrors as {theirs}, skeleton {wanted.name} that it "
                f"mirrors as {ours}: another skeleton or another order of joints; say which by `skeleton`"
            )
