"""Whatever a document holds, it is loaded, or refused in one line; nothing else happens."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from fuzzing import FEW, MANY, loads_or_refuses
from hypothesis import given
from hypothesis import strategies as st
from mutations import RUNS_CODE, Raw, raw_json, raw_yaml, spoilt

from nas.coco import people_boxes
from nas.codecs.affine import image_affine
from nas.codecs.exported import ExportedNetwork
from nas.data import load_annotations
from nas.data.check import check_dataset
from nas.data.regions import loss_mask
from nas.documents import parse_json, parse_yaml
from nas.errors import UserError
from nas.latency import LatencyPredictor
from nas.runs import load_config
from nas.space import Arch, ArchManager, SearchSpace, Skeleton, arch_to_litepose
from nas.space.skeleton import skeleton_names
from nas.timing import LatencyTable

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "results" / "latency" / "person-crop-coco17.jsonl"


def load_arch(path: Path) -> None:
    arch = Arch.load(path)
    assert Arch.from_json(arch.to_json()) == arch


def load_space(path: Path) -> None:
    space = SearchSpace.load(path)
    assert space.size >= 1
    assert space.contains(ArchManager(space).sample(np.random.default_rng(0)))
    assert SearchSpace.from_json(space.to_json()) == space


def load_recipe(path: Path) -> None:
    config = load_config(path)
    assert type(config).read(config.model_dump(mode="json"), "again") == config


def load_skeleton(path: Path) -> None:
    skeleton = Skeleton.load(path)
    assert sorted(skeleton.flip_index) == list(range(len(skeleton)))
    assert Skeleton.from_json(skeleton.to_json()) == skeleton


def load_people(path: Path) -> None:
    annotations = load_annotations(path, None, Skeleton.load("coco17"))
    assert annotations.people.labelled.any()
    json.dumps(annotations.to_coco(), allow_nan=False)
    for position, image in enumerate(annotations.images):
        loss_mask(annotations, position, image_affine(image.size, (40, 40)), (40, 40))


def load_boxes(path: Path) -> None:
    for name, boxes in people_boxes(path).items():
        assert name
        assert np.isfinite(boxes).all()


def load_checked(path: Path) -> None:
    report = check_dataset(path)
    assert json.dumps(report.to_json()).isprintable()


def load_table(path: Path) -> None:
    table = LatencyTable.read(path)
    for timing in table.timings():
        assert timing.measured_ms >= 0
        assert timing.p95_ms >= 0


def load_predictor(path: Path) -> None:
    predictor = LatencyPredictor.load(path, allow_other_device=True)
    assert str(predictor.device)
    arch = ArchManager(SearchSpace.load("person-crop")).smallest()
    assert predictor.predict_ms(arch, tracer=_tracer()) >= 0
    assert predictor.interval_ms([arch], tracer=_tracer()).shape == (1, 2)


def load_exported(path: Path) -> None:
    """As metadata of a graph whose heatmaps are of 96 x 64 px and 17 joints."""
    network = ExportedNetwork.parse(path.read_text(errors="replace"), str(path))
    network.require_fit(
        {"images": (1, 3, 96, 64)}, {"keypoints": (1, 1, 17, 3), "scores": (1, 1)}, source=str(path)
    )
    assert min(network.std) > 0
    assert len(network.skeleton) == 17


def load_weights_of(path: Path) -> None:
    """As metadata of the weights of a network of that kind."""
    from safetensors.torch import save_file

    from nas.models import load_weights

    file = path.with_suffix(".safetensors")
    save_file(_weights().state_dict(), file, {"nas": path.read_text(errors="replace")})
    assert load_weights(file).state_dict().keys() == _weights().state_dict().keys()


@cache
def _weights() -> Any:
    from nas.models import PoseNet

    return PoseNet(ArchManager(SearchSpace.load("demo")).smallest(head="heatmap"), "coco17")


@cache
def _tracer() -> Any:
    from nas.graph import Tracer

    return Tracer(SearchSpace.load("person-crop"), "coco17")


@cache
def documents(kind: str) -> Sequence[Any]:
    """Valid documents."""
    match kind:
        case "arch":
            archs = [Arch.load(f"litepose-auto-{size}") for size in ("xs", "l")]
            crop = ArchManager(SearchSpace.load("person-crop")).smallest()
            return [archs[0].to_json(), crop.to_json(), *(arch_to_litepose(arch) for arch in archs)]
        case "space":
            return _yaml(ROOT / "search_spaces")
        case "recipe":
            return _yaml(ROOT / "supernets")
        case "skeleton":
            return [Skeleton.load(name).to_json() for name in skeleton_names()]
        case "people" | "boxes" | "checked":
            return [_people()]
        case "table":
            return [_table()[:6]]
        case "exported":
            return [_described("mean", "std")]
        case "weights":
            return [_described("notes")]
        case _:
            return [_predictor()]


def _described(*fields: str) -> dict[str, Any]:
    """What files say of a network."""
    arch, skeleton = ArchManager(SearchSpace.load("demo")).smallest(head="heatmap"), Skeleton.load("coco17")
    more = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3], "notes": {"run": "a"}}
    found = {name: more[name] for name in fields}
    return {"version": 1, "arch": arch.to_json(), "skeleton": skeleton.to_json(), **found}


def _table() -> list[Any]:
    return [json.loads(line) for line in TABLE.read_text().splitlines()]


def _yaml(folder: Path) -> list[Any]:
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


def _people() -> dict[str, Any]:
    joints = list(Skeleton.load("coco17").keypoints)
    keypoints = [[10.0 + n, 20.5, n % 3] for n in range(len(joints))]
    person = {"category_id": 1, "iscrowd": 0, "area": 500.0, "bbox": [6, 6, 28, 28.5], "num_keypoints": 11}
    person["keypoints"] = [number for joint in keypoints for number in joint]
    crowd = {**person, "iscrowd": 1, "segmentation": {"counts": [5, 1595], "size": [40, 40]}}
    return {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "height": 40, "width": 40, "crowdIndex": 0.5} for n in (1, 2)
        ],
        "annotations": [
            {**person, "id": 7, "image_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]},
            {**crowd, "id": 8, "image_id": 2},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": joints, "skeleton": [[1, 2]]}],
    }


def _predictor() -> Any:
    rows = _table()
    networks = [row["network"] for row in rows if row["row"] == "network"][:8]
    kept = [row for row in rows if row["row"] in ("table", "source") or row.get("network") in networks]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.jsonl"
        path.write_bytes(_lines(json.dumps(kept).encode()))
        LatencyPredictor.fit(LatencyTable.read(path)).save(path)
        content = json.loads(path.read_text())
    # A few trees and kernels do as well as all.
    residual = content["model"]["residual"]
    for name in ("feature", "threshold", "left", "right", "value"):
        residual[name] = residual[name][:2]
    content["novelty"] = {kind: numbers[:2] for kind, numbers in content["novelty"].items()}
    return content


def _lines(content: bytes) -> bytes:
    """A spoilt list of rows as JSON lines; where it is no list any more, as it is."""
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        return content.replace(b"}, {", b"}\n{").strip(b"[]") + b"\n"
    if not isinstance(rows, list):
        return content + b"\n"
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


KINDS: dict[str, tuple[Callable[[Path], None], bool]] = {
    "arch": (load_arch, False),
    "space": (load_space, True),
    "recipe": (load_recipe, True),
    "skeleton": (load_skeleton, True),
    "people": (load_people, False),
    "boxes": (load_boxes, False),
    "checked": (load_checked, False),
    "table": (load_table, False),
    "predictor": (load_predictor, False),
    "exported": (load_exported, False),
    "weights": (load_weights_of, False),
}


def fuzz(kind: str, folder: Path, data: st.DataObject) -> None:
    load, is_yaml = KINDS[kind]
    sentinel = folder / "code-was-run"
    raw: Raw = raw_yaml(str(sentinel)) if is_yaml else raw_json()
    content = data.draw(spoilt(documents(kind), raw))
    path = folder / f"document.{'yaml' if is_yaml else 'json'}"
    path.write_bytes(_lines(content) if kind == "table" else content)
    loads_or_refuses(lambda: load(path))
    assert not sentinel.exists()


def test_the_tag_that_is_tried_runs_code_where_it_may(tmp_path: Path) -> None:
    text = RUNS_CODE.replace("SENTINEL", str(tmp_path / "ran"))
    path = tmp_path / "document.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="could not determine a constructor"):
        Skeleton.load(path)
    assert not (tmp_path / "ran").exists()
    yaml.unsafe_load(text)
    assert (tmp_path / "ran").exists()


def test_fields_may_be_merged_but_not_repeated() -> None:
    merged = "base: &base {a: 1, b: 2}\nown: {<<: *base, b: 3}\nagain: {<<: *base}\n"
    found = parse_yaml(merged, "text")
    assert (found["own"], found["again"]) == ({"a": 1, "b": 3}, {"a": 1, "b": 2})
    with pytest.raises(UserError, match="'b' is given twice"):
        parse_yaml("own: {b: 1, a: 2, b: 3}", "text")
    with pytest.raises(UserError, match="'b' is given twice"):
        parse_json('{"b": 1, "b": 1}', "text")


@pytest.mark.parametrize("kind", KINDS)
def test_valid_documents_load(kind: str, tmp_path: Path) -> None:
    load, _ = KINDS[kind]
    for document in documents(kind):
        path = tmp_path / "document"
        text = json.dumps(document)
        path.write_bytes(_lines(text.encode()) if kind == "table" else text.encode())
        assert loads_or_refuses(lambda path=path: load(path))


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(data=st.data())
def test_spoilt_documents(kind: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    fuzz(kind, tmp_path_factory.getbasetemp(), data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(data=st.data())
def test_many_spoilt_documents(
    kind: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    fuzz(kind, tmp_path_factory.getbasetemp(), data)


@pytest.mark.parametrize("text", ['{"head": "a\\ud800b"}', '{"\\udfff": [1]}', '{"a": {"b\\ud800": 1}}'])
def test_half_of_a_surrogate_pair_is_no_text(text: str) -> None:
    """Such text comes into being when a document is parsed, and cannot be written or printed."""
    for parse, said in ((parse_json, "half of a surrogate pair"), (parse_yaml, "surrogate|invalid Unicode")):
        with pytest.raises(UserError, match=said) as refusal:
            parse(text, "text")
        assert str(refusal.value).isprintable()
    assert parse_json('{"\\ud83d\\ude00": 1}', "text") == {"\N{GRINNING FACE}": 1}
