"""Which metrics there are is told by what scores, and what is lacking is said."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from evaluation_data import scene

from nas.data.coco import load_annotations
from nas.errors import UserError
from nas.evaluate import metric_names, require_metric, score
from nas.space.skeleton import PckSegments, Skeleton

JOINTS = 4


def stick(**pck: tuple[str, str]) -> Skeleton:
    names = tuple(str(joint) for joint in range(JOINTS))
    return Skeleton("stick", names, (), (0.1,) * JOINTS, pck=PckSegments(**pck))


@pytest.mark.parametrize("crowd_index", [None, 0.5])
@pytest.mark.parametrize("pck", [{}, {"torso": ("0", "1")}, {"torso": ("0", "1"), "head": ("2", "3")}])
def test_the_names_are_those_of_a_score(
    pck: dict[str, tuple[str, str]], crowd_index: float | None, tmp_path: Path
) -> None:
    person = np.array([[10, 10, 2], [40, 90, 2], [60, 30, 2], [20, 80, 2]], float)
    file = tmp_path / "truth.json"
    file.write_text(json.dumps(scene([person], joints=JOINTS, crowd_index=crowd_index)))
    skeleton = stick(**pck)
    figures = score([], load_annotations(file, None, skeleton)).figures
    names = metric_names(skeleton, crowd_index=crowd_index is not None)
    assert set(names) == {name for name in figures if "/" not in name and not name.startswith("people_")}
    assert {"AP", "AR", "AP_small"} < set(names)
    assert any(name.startswith("CrowdPose_") for name in names) == (crowd_index is not None)
    for name in names:
        require_metric(name, skeleton)


@pytest.mark.parametrize("name", ["nonsense", "people_small", "PCK_torso@0.3", "PCK_torso@0.2/0", "ap", ""])
def test_what_is_no_metric_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"metric {name!r} is not known")) as refusal:
        require_metric(name, stick(torso=("0", "1")))
    assert "AP50" in str(refusal.value)
    assert "PCK_torso@0.2" in str(refusal.value)


@pytest.mark.parametrize("reference", ["torso", "head"])
def test_what_a_skeleton_lacks_is_said(reference: str) -> None:
    with pytest.raises(
        UserError, match=rf"'stick' names no {reference} .*`pck: {{{reference}: \[JOINT, JOINT\]}}`"
    ):
        require_metric(f"PCK_{reference}@0.2", stick())
