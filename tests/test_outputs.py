"""Files that a user names to be written: somebody else's are not destroyed."""

import json
from pathlib import Path

import pytest
from latency_samples import DEVICE

from nas.cli.main import run
from nas.errors import UserError
from nas.outputs import (
    COCO_RESULTS,
    LATENCY_TABLE,
    ONNX_FILE,
    PAGE,
    PICTURE,
    PREDICTOR,
    OutputKind,
    require_replaceable,
)
from nas.runtime.results import write_results
from nas.timing.protocol import Protocol
from nas.timing.table import LatencyTable

ANNOTATIONS = json.dumps({"images": [], "annotations": [], "categories": []})


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    """One line without an end, as most programs write them."""
    path = tmp_path / "people.json"
    path.write_text(ANNOTATIONS)
    return path


def test_what_is_of_another_kind_stays(annotations: Path, tmp_path: Path) -> None:
    for kind in (ONNX_FILE, PAGE, COCO_RESULTS, PICTURE):
        with pytest.raises(UserError, match=f"people.json: exists and is no {kind.noun}"):
            require_replaceable(annotations, kind)
        require_replaceable(tmp_path / "new", kind)
        (tmp_path / "empty").touch()
        require_replaceable(tmp_path / "empty", kind)
    former = tmp_path / "former.json"
    former.write_text("\n [{}]")
    require_replaceable(former, COCO_RESULTS)


def test_what_is_read_stays_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(b"\x08\x08")
    (tmp_path / "link.onnx").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    for name in ("net.onnx", "./net.onnx", "link.onnx", str(model)):
        with pytest.raises(UserError, match="is read here, and would be replaced"):
            require_replaceable(Path(name), ONNX_FILE, inputs=(None, model))
    require_replaceable(model, ONNX_FILE, inputs=(tmp_path / "absent",))


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (ONNX_FILE, "subnets/*.onnx"),
        (LATENCY_TABLE, "results/latency/**/*.jsonl"),
        (PREDICTOR, "results/latency/**/*predictor.json"),
        (PICTURE, "results/**/*.png"),
        (PAGE, "nas/pages/base.html"),
    ],
)
def test_what_was_written_before_may_be_replaced(kind: OutputKind, written: str) -> None:
    files = list(Path(__file__).parents[1].glob(written))
    assert files
    for file in files:
        require_replaceable(file, kind)


def test_results_may_be_replaced(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", [])
    require_replaceable(tmp_path / "results.json", COCO_RESULTS)


@pytest.mark.parametrize(
    "command",
    [
        "validate person-0.25ms --data people.json --images . --results people.json",
        "validate person-0.25ms --data people.json --images . --results ./other.json",
        "data check people.json --images . --html people.json",
        "data check people.json --images . --html other.json",
        "export w.safetensors --out w.safetensors",
        "export w.safetensors --out other.json",
        "latency fit table.jsonl --out table.jsonl",
        "latency fit table.jsonl --out other.json",
        "latency fit table.jsonl --plot table.jsonl",
        "latency measure --space demo --table other.json",
        "latency import table.jsonl --table other.json",
    ],
)
def test_commands_leave_what_a_user_has(
    command: str,
    annotations: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text(ANNOTATIONS)
    (tmp_path / "w.safetensors").write_bytes(bytes(20))
    with LatencyTable.open(
        tmp_path / "table.jsonl", device=DEVICE, protocol=Protocol(), channel_block=8
    ) as table:
        assert not table.visits
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert run(command.split()) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "would be replaced" in error or "exists and is no" in error
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert {name: after[name] for name in before} == before
