"""What to start from with data of one's own: recipe, space and skeleton, written beside the data."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.coco import PeopleFile, people_of, read_coco
from nas.coco.categories import choose_records
from nas.data.check_layout import image_folder
from nas.data.images import available_mib
from nas.data.shards import image_finder
from nas.data.threads import cores
from nas.errors import UserError
from nas.files import is_file, is_folder, write_text
from nas.progress import duration
from nas.workflow.joints import GuessedSkeleton, guess_skeleton
from nas.workflow.sizing import Sizing, size
from nas.workflow.start_files import recipe_text, skeleton_text, space_text

_NAMES = ("space.yaml", "skeleton.yaml", "recipe.yaml")
_TOO_FEW = 200
"""People: with fewer the figures mean little."""


@dataclass(frozen=True)
class StartFiles:
    """What was written, and from what.

    Args:
        files: space, skeleton and recipe.
        found: lines on what the data hold, and what follows from it.
        remarks: lines on what to look at before the first run.
        figures: plain data.
    """

    files: tuple[Path, ...]
    found: tuple[str, ...]
    remarks: tuple[str, ...]
    figures: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        files = {path.stem: str(path) for path in self.files}
        return {**files, **self.figures, "remarks": list(self.remarks)}


@dataclass(frozen=True)
class DataFile:
    """An annotation file of people, and the folder of its images."""

    read: PeopleFile
    images: Path
    limbs: Any

    @property
    def path(self) -> Path:
        return self.read.path


def write_start(
    annotations: Path,
    *,
    images: Path | None = None,
    output: Path | None = None,
    val: Path | None = None,
    val_images: Path | None = None,
    category: str | None = None,
) -> StartFiles:
    """Write `recipe.yaml`, `space.yaml` and `skeleton.yaml` for a COCO keypoint file.

    Nothing is written over: files that are there already stay, and are an error unless they say the same.

    Args:
        annotations: the file.
        images: where its file names start from; looked for around the file by default.
        output: the folder to write into; the file's own by default.
        val: another such file, to validate on; a share of the first is held out by default.
        val_images: as `images`, of that file.
        category: as in `nas.coco.choose_category`.

    Raises:
        UserError: a file or folder that is missing, is no COCO keypoint file or holds nobody; images that are
            not there; two files of different joints; files that would be written over.
    """
    folder = output or annotations.parent
    data = _read(annotations, images, category=category, parameter="images")
    other = None if val is None else _read(val, val_images, category=category, parameter="val_images")
    if other is not None and set(other.read.category.joints) != set(data.read.category.joints):
        raise UserError(
            f"`val`: {other.path} has other joints ({', '.join(other.read.category.joints)}) than "
            f"{data.path} ({', '.join(data.read.category.joints)}); give a file of the same ones"
        )
    name = _name(annotations)
    joints = guess_skeleton(name, data.read.category.joints, data.limbs)
    labelled = data.read.people.labelled
    sizing = size(
        int(labelled.sum()),
        data.read.people.bbox[labelled][:, 2:],
        cores=cores(),
        memory_mib=available_mib(),
        has_validation=other is not None,
    )
    texts = (
        space_text(name, sizing, data.read.people.bbox[labelled][:, 2:]),
        skeleton_text(joints, annotations),
        recipe_text(
            name,
            sizing,
            joints,
            folder=folder,
            data=(data.path, data.images),
            val=None if other is None else (other.path, other.images),
            category=category,
        ),
    )
    files = tuple(folder / file for file in _NAMES)
    _write(dict(zip(files, texts, strict=True)))
    remarks = [*_remarks(data, joints), *(_remarks(other, None) if other else [])]
    return StartFiles(files, _found(data, joints, sizing), tuple(remarks), _figures(data, joints, sizing))


def _read(path: Path, images: Path | None, *, category: str | None, parameter: str) -> DataFile:
    content = read_coco(path)
    read = people_of(content, path, None, category=category)
    limbs = choose_records(content["categories"], path, category=category)[0].get("skeleton")
    if images is not None and not is_folder(images):
        raise UserError(f"`{parameter}`: {images} is no folder")
    folder = images or image_folder(path, content, path.parent)
    if folder is None:
        raise UserError(
            f"{path}: no folder with its images was found, such as {read.images[0].file}; name the folder "
            f"that its file names start from: `{parameter}`"
        )
    if len(_missing(read, folder)) == len(read.images):
        raise UserError(
            f"{folder}: holds none of the {len(read.images):,} images that {path} lists, such as "
            f"{read.images[0].file}; name the folder that its file names start from: `{parameter}`"
        )
    return DataFile(read, folder, limbs)


def _missing(read: PeopleFile, folder: Path) -> list[str]:
    """The images that the folder, or its shards, lack."""
    find = image_finder(folder)
    files = {image.file: find(image.file) for image in read.images}
    return [name for name, file in files.items() if isinstance(file, Path) and not is_file(file)]


def _name(annotations: Path) -> str:
    return re.sub(r"[^\w.-]+", "-", annotations.stem)[:80].strip("-.") or "mine"


def _write(texts: dict[Path, str]) -> None:
    """Write what is not there yet; a file that says the same is taken for written."""
    there = [path for path in texts if path.exists()]
    others = [path for path in there if not path.is_file() or _differs(path, texts[path])]
    if others:
        raise UserError(
            f"{', '.join(map(str, others))}: there already, and nothing is written over; move it away, or "
            "name another folder: `output`"
        )
    for path, text in texts.items():
        if path not in there:
            write_text(path, text)


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() != text.encode("utf-8", "backslashreplace")
    except OSError:
        return True


def _found(data: DataFile, joints: GuessedSkeleton, sizing: Sizing) -> tuple[str, ...]:
    skeleton = joints.skeleton
    pairs = ", ".join(f"{left} / {right}" for left, right in skeleton.flip_pairs) or "none"
    supernet, each = (duration(60 * minutes) for minutes in sizing.minutes)
    inputs = " and ".join(f"{height}x{width}" for height, width in sizing.resolutions)
    limbs = "the file's" if joints.from_file else "of a shipped skeleton with these joints"
    return (
        f"{data.path}: {sizing.people:,} labelled people",
        f"{data.images}: {len(data.read.images):,} images",
        f"{len(skeleton)} joints, {len(skeleton.limbs)} limbs{f' ({limbs})' if skeleton.limbs else ''}",
        f"Joints that change places in a mirrored picture, by their names: {pairs}",
        f"OKS sigmas: {skeleton.sigmas_source}",
        f"Inputs of {inputs} px; {sizing.steps:,} steps of {sizing.batch} people: about {supernet} for the "
        f"supernet and {each} for each network on {sizing.cores} cores",
    )


def _remarks(data: DataFile, joints: GuessedSkeleton | None) -> list[str]:
    """What to look at."""
    lines = [f"{data.path}: {line}" for line in data.read.remarks]
    if missing := _missing(data.read, data.images):
        lines.append(
            f"{data.images}: {len(missing):,} of {len(data.read.images):,} images are missing, such as "
            f"{missing[0]}"
        )
    if joints is None:
        return lines
    if (people := int(data.read.people.labelled.sum())) < _TOO_FEW:
        lines.append(
            f"{data.path}: {people} labelled people are few to learn from, and to tell networks apart by"
        )
    if joints.unpaired:
        lines.append(f"joints of one side without the other: {', '.join(joints.unpaired)}; mirroring is off")
    elif not joints.skeleton.flip_pairs:
        lines.append(
            "no joint's name says left or right: mirroring is off; fill in flip_pairs of skeleton.yaml and "
            "set data.augment.flip to 0.5 where it makes sense"
        )
    if joints.dropped:
        lines.append(
            f"{data.path}: {joints.dropped} limbs of its skeleton name no two joints, and are left out"
        )
    if not joints.skeleton.limbs:
        lines.append("no limbs are known: poses are drawn as points; name them in skeleton.yaml")
    return lines


def _figures(data: DataFile, joints: GuessedSkeleton, sizing: Sizing) -> dict[str, Any]:
    return {
        "people": sizing.people,
        "images": len(data.read.images),
        "joints": len(joints.skeleton),
        "flip_pairs": [list(pair) for pair in joints.skeleton.flip_pairs],
        "limbs": len(joints.skeleton.limbs),
        "default_sigmas": len(joints.skeleton) - len(joints.known),
        "resolutions": [list(resolution) for resolution in sizing.resolutions],
        "epochs": sizing.epochs,
        "steps": sizing.steps,
        "minutes_supernet": round(sizing.minutes[0], 1),
        "minutes_finetune": round(sizing.minutes[1], 1),
        "cores": sizing.cores,
    }
