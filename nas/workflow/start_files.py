"""The text of the files to start from."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from nas.arrays import Floats
from nas.progress import duration
from nas.workflow.joints import DEFAULT_SIGMA, GuessedSkeleton
from nas.workflow.sizing import Sizing

_TEMPLATES = Path(__file__).with_name("templates")

_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")
_WORDS_OF_YAML = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

_AP_NEEDS = 2_000
"""People: with fewer, networks that have learned little all have an AP near 0."""

_STAGES: dict[bool, tuple[dict[str, Any], ...]] = {
    True: (
        {"stride": 2, "width": [16, 24], "depth": [1, 2], "kernel": [3, 5], "expansion": 3},
        {"stride": 2, "width": [24, 32], "depth": [1, 2], "kernel": [3, 5], "expansion": 3},
        {"stride": 2, "width": [32, 64], "depth": [1, 2, 3], "kernel": [3, 5], "expansion": [3, 4]},
        {"stride": 1, "width": [48, 80], "depth": [1, 2], "kernel": [3, 5], "expansion": [3, 4]},
    ),
    False: (
        {"stride": 2, "width": [16, 24], "depth": [1, 2], "kernel": [3, 5, 7], "expansion": [2, 3, 4]},
        {"stride": 2, "width": [24, 32], "depth": [1, 2, 3], "kernel": [3, 5, 7], "expansion": [3, 4, 6]},
        {"stride": 2, "width": [32, 48, 64], "depth": [2, 3, 4], "kernel": [3, 5, 7], "expansion": [3, 4, 6]},
        {
            "stride": 1,
            "width": [64, 80, 96],
            "depth": [1, 2, 3, 4],
            "kernel": [3, 5, 7],
            "expansion": [3, 4, 6],
        },
    ),
}
"""By whether the space is the small one: as in the shipped spaces `demo` and `person-crop`."""


def space_text(name: str, sizing: Sizing, boxes: Floats) -> str:
    """The search space; `boxes` [N, 2] (w, h) of people are told."""
    width, height = np.median(boxes, axis=0)
    stages = (
        "  - {type: mbconv, activation: relu, "
        + ", ".join(f"{key}: {json.dumps(value)}" for key, value in stage.items())
        + "}"
        for stage in _STAGES[sizing.small]
    )
    return _filled(
        "space",
        name=text(name),
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        resolutions=json.dumps([list(resolution) for resolution in sizing.resolutions]),
        stem="16" if sizing.small else "[8, 16]",
        stages="\n".join(stages),
    )


def skeleton_text(joints: GuessedSkeleton, annotations: Path) -> str:
    """The skeleton, with what was guessed said."""
    skeleton = joints.skeleton
    by = (
        "no names say left and right"
        if not skeleton.flip_pairs
        else "guessed from left and right in the names"
    )
    limbs = "as the file has them" if joints.from_file else "of a shipped skeleton, where it has both joints"
    lines = [
        f"# The joints of {_comment(annotations.name)}, in its order. Look over what was guessed.",
        f"name: {text(skeleton.name)}",
        f"keypoints: {_list(skeleton.keypoints)}",
        f"# Who changes places in a mirrored picture ([left, right]): {by}.",
        *_pairs("flip_pairs", skeleton.flip_pairs),
        "# OKS standard deviations relative to a person's scale: how far annotators differ. COCO measured",
        f"# .025 for eyes and .107 for hips; {DEFAULT_SIGMA} stands where nothing is known. Too large ones",
        "# make AP look better than it is.",
        *(
            f"# {_comment(name)}: {sigma}{'' if name in joints.known else ' (default)'}"
            for name, sigma in zip(skeleton.keypoints, skeleton.sigmas, strict=True)
        ),
        f"sigmas: {json.dumps(list(skeleton.sigmas))}",
        f"sigmas_source: {text(skeleton.sigmas_source)}",
        f"# What is drawn as a line: {limbs if skeleton.limbs else 'nothing is known of that'}.",
        *_pairs("limbs", skeleton.limbs),
    ]
    segments = {"torso": skeleton.pck.torso, "head": skeleton.pck.head}
    if any(segments.values()):
        lines += ["# The distances that PCK goes by.", "pck:"]
        lines += [f"  {name}: {_list(pair)}" for name, pair in segments.items() if pair]
    return "\n".join(lines) + "\n"


def recipe_text(
    name: str,
    sizing: Sizing,
    joints: GuessedSkeleton,
    *,
    folder: Path,
    data: tuple[Path, Path],
    val: tuple[Path, Path] | None,
    category: str | None,
) -> str:
    """The recipe.

    Args:
        name: of the run.
        sizing: of everything.
        joints: say whether pictures may be mirrored, and what can be scored.
        folder: that the recipe is written into.
        data: annotation file and image folder.
        val: likewise, to validate on; None where a share of the first is held out.
        category: of both files, where one was chosen.
    """
    chosen = "" if category is None else f", category: {text(category)}"
    supernet, each = (duration(60 * minutes) for minutes in sizing.minutes)
    by_pck = joints.skeleton.pck.torso is not None and sizing.people < _AP_NEEDS
    return _filled(
        "recipe",
        name=text(name),
        stem=_comment(name),
        people=f"{sizing.people:,}",
        cores=str(sizing.cores),
        memory=f"{sizing.memory_mib / 1024:.0f}",
        minutes_supernet=supernet,
        minutes_finetune=each,
        annotations=_path(data[0], folder),
        images=_path(data[1], folder),
        category=chosen,
        validation=_validation(val, sizing.holdout, folder, chosen),
        flip=_augment(joints),
        processes=str(sizing.processes),
        workers=str(sizing.workers),
        epochs=str(sizing.epochs),
        steps=f"{sizing.steps:,}",
        batch=str(sizing.batch),
        warmup=str(min(100, sizing.steps // 10)),
        ema="0.995" if sizing.steps < 2000 else "0.998",
        ramp=str(max(1, min(1000, sizing.steps // 3))),
        every=str(max(1, sizing.steps // 4)),
        checkpoint=str(max(1, min(250, sizing.steps // 10))),
        calibration=str(sizing.calibration),
        calibration_batch=str(min(64, sizing.calibration)),
        metric="PCK_torso@0.2" if by_pck else "AP",
        why_metric="  # tells networks apart earlier than AP does, on few people" if by_pck else "",
        finetune_warmup=str(min(50, sizing.steps // 10)),
    )


def text(value: str) -> str:
    """A text as YAML reads it back."""
    plain = _PLAIN.fullmatch(value) and value.casefold() not in _WORDS_OF_YAML
    return value if plain else json.dumps(value, ensure_ascii=not value.isprintable())


def _validation(val: tuple[Path, Path] | None, holdout: float, folder: Path, chosen: str) -> str:
    if val is not None:
        return f"  val: {{annotations: {_path(val[0], folder)}, images: {_path(val[1], folder)}{chosen}}}"
    return (
        f"  # No validation file was given: {holdout:.0%} of the images, by the hash of their ids, are kept "
        "out of training and search.\n"
        "  # Frames of one video should not be on both sides: name a file of other pictures as val instead.\n"
        f"  holdout: {holdout:g}"
    )


def _augment(joints: GuessedSkeleton) -> str:
    flip, why = ("0.5", "") if joints.mirrors else ("0.0", "  # no flip: left and right are not all known")
    return f"  augment: {{preset: none, scale: [0.8, 1.2], rotation: 20.0, flip: {flip}, shift: 0.03}}{why}"


def _path(path: Path, folder: Path) -> str:
    """A path as the recipe in `folder` names it; relative where it is below or beside: both can move."""
    there, here = Path(os.path.abspath(path)), Path(os.path.abspath(folder))  # noqa: PTH100
    named = Path(os.path.relpath(there, here)) if there.is_relative_to(here.parent) else there
    return json.dumps(named.as_posix(), ensure_ascii=False)


def _pairs(key: str, pairs: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"  - {_list(pair)}" for pair in pairs]
    return [f"{key}:", *lines] if lines else [f"{key}: []"]


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(map(text, names))}]"


def _comment(value: str) -> str:
    """A text within a line."""
    return value if value.isprintable() else repr(value)[1:-1]


def _filled(template: str, **values: str) -> str:
    return Template((_TEMPLATES / f"{template}.yaml").read_text(encoding="utf-8")).substitute(values)
