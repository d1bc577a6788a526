"""Hostile one-shot runs of every command: no traceback, no silent wrong end, no harm to the user's files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hostile import BROKEN, Hostile, Workspace, make_set, make_workspace
from safetensors.numpy import load_file, save_file

from nas.cli.main import run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell is needed")]

TAKERS = {
    "arch show": "nas arch show {x}.json --skeleton coco17",
    "space show": "nas space show {x}.yaml",
    "train": "nas train {x}.yaml",
    "preview": "nas data preview {x}.yaml --out {t}/p.jpg",
    "latency fit": "nas latency fit {x}.jsonl --out {t}/p.json",
    "latency predict": "nas latency predict {x}.json arch.json --skeleton coco17 --allow-other-device",
    "latency predict arch": "nas latency predict predictor.json {x}.json --skeleton coco17",
    "latency time": "nas latency time {x}.onnx --visits 1",
    "latency import": "nas latency import {x}.jsonl --table {t}/t.jsonl",
    "transfer": "nas transfer runs/tiny {x}.json",
    "finetune": "nas finetune runs/tiny {x}.json",
    "search": "nas search runs/tiny --budget-ms 5 --predictor {x}.json",
    "validate": "nas validate m.onnx --data {x}.json --images set/images",
    "validate onnx": "nas validate {x}.onnx $SET",
    "validate weights": "nas validate {x}.safetensors $SET",
    "export": "nas export {x}.safetensors --out {t}/m.onnx",
    "check": "nas data check {x}.json --images set/images",
    "stats": "nas data stats {x}.json",
    "shard": "nas data shard {x}.json set/images --out {t}/shards",
    "from crowdpose": "nas data convert --from crowdpose {x}.json --out {t}/c.json",
    "from mpii": "nas data convert --from mpii {x}.json --images set/images --out {t}/c.json",
    "from yolo": "nas data convert --from yolo {x}.yaml --out {t}/c.json",
    "from cvat": "nas data convert --from cvat {x}.xml --out {t}/c.json",
    "label": "nas data label {x}.json --images set/images --model m.onnx --out {t}/l.json",
    "label model": "nas data label set/annotations/train.json --model {x}.onnx --out {t}/l.json",
    "label boxes": "nas data label set/images --boxes {x}.json --model m.onnx --out {t}/l.json",
    "predict model": "nas predict {x}.onnx set/images/001.jpg --out {t}/out",
    "predict picture": "nas predict m.onnx {x}.jpg --out {t}/out",
    "predict boxes": "nas predict m.onnx set/images --boxes {x}.json --out {t}/out",
    "report": "nas report {x}",
    "init": "nas init {x}.json --images set/images --out {t}/start",
    "run": "nas run {x}.yaml --runs {t}/runs",
}
"""Every place of the command line that takes a file."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def unharmed(workspace: Workspace) -> Iterator[None]:
    """Everything that was the user's is there afterwards as it was before."""
    before = workspace.digests()
    yield
    after = workspace.digests()
    assert {name: after.get(name) for name in before} == before


def check(done: "subprocess.CompletedProcess[str]", codes: tuple[int, ...], says: str = "") -> None:
    """What holds for every run, whatever it was given."""
    output = done.stdout + done.stderr
    for sign in ("Traceback", "Exception ignored", "MarkupError", "core dumped", "terminate called"):
        assert sign not in output, output
    assert done.returncode in codes, output
    if done.returncode == 2:
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, output
        assert len(errors[0]) < 1500, output
    assert "\x1b" not in output
    assert says in output, output


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("taker", TAKERS)
def test_a_broken_file_is_one_line(
    workspace: Workspace,
    unharmed: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    taker: str,
    kind: str,
) -> None:
    content = BROKEN[kind]
    if content is not None:
        for suffix in (".json", ".jsonl", ".yaml", ".onnx", ".safetensors", ".xml", ".jpg", ""):
            (tmp_path / f"x{suffix}").write_bytes(content)
    monkeypatch.chdir(workspace.folder)
    line = TAKERS[taker].format(x=tmp_path / "x", t=tmp_path)
    # In this process: what is raised here would be a traceback there.
    code = run(line.split()[1:])
    done = subprocess.CompletedProcess(line, code, *capfd.readouterr())
    check(done, (1, 2) if taker == "check" else (2,), says="x")
    made = {path.name for path in tmp_path.rglob("*") if not path.name.startswith("x")}
    assert made <= {"out", ".lock"}


def annotations(**changes: Any) -> Callable[[Path], None]:
    """A set's file with fields of its first annotation, or of its first image (image_...), changed."""

    def prepare(folder: Path) -> None:
        content = make_set(folder / "own", 3)
        for name, value in changes.items():
            if name.startswith("image_"):
                content["images"][0][name.removeprefix("image_")] = value
            elif name == "categories":
                content["categories"] = value
            else:
                content["annotations"][0][name] = value
        (folder / "x.json").write_text(json.dumps(content))

    return prepare


def metadata(**changes: Any) -> Callable[[Path], None]:
    """The exported network with other metadata: a field's value, or the whole text."""

    def prepare(folder: Path) -> None:
        model = onnx.load(folder.parent / "m.onnx")
        for entry in model.metadata_props:
            if entry.key == "nas":
                entry.value = changes.get("text") or json.dumps({**json.loads(entry.value), **changes})
        onnx.save(model, folder / "x.onnx")

    return prepare


def weights(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        import safetensors

        tensors = load_file(folder.parent / "w.safetensors")
        with safetensors.safe_open(folder.parent / "w.safetensors", framework="numpy") as file:
            notes = file.metadata()
        change(tensors)
        save_file(tensors, folder / "x.safetensors", notes)

    return prepare


def with_nan(tensors: dict[str, Any]) -> None:
    name = next(name for name, value in tensors.items() if value.dtype == np.float32 and value.ndim == 4)
    tensors[name] = np.full_like(tensors[name], np.nan)


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare


def picture(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "a.jpg").write_bytes((folder.parent / "set" / "images" / "001.jpg").read_bytes())


PREDICT = "nas predict {t}/x.onnx set/images --out {t}/o"
VALIDATE = "nas validate m.onnx --data {t}/x.json --images {t}/own/images"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)
ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]><annotations>&j;</annotations>"
)

RUNS: dict[str, Hostile] = {
    # Documents inside of files.
    "metadata of words": Hostile(PREDICT, "x.onnx", prepare=metadata(text="{broken")),
    "deep metadata": Hostile(PREDICT, "x.onnx", prepare=metadata(text="[" * 100_000)),
    "metadata without fields": Hostile(PREDICT, "x.onnx", prepare=metadata(text="{}")),
    "a mean that is no number": Hostile(PREDICT, "mean", prepare=metadata(mean=["a", 0, 0])),
    "a deviation of zero": Hostile(PREDICT, "std", prepare=metadata(std=[0, 0, 0])),
    "a skeleton of other size": Hostile(
        "nas validate {t}/x.onnx $SET",
        "x.onnx",
        prepare=metadata(skeleton={"name": "one", "keypoints": ["a"], "flip_pairs": [], "sigmas": [0.1]}),
    ),
    "an arch that is none": Hostile("nas validate {t}/x.onnx $SET", "x.onnx", prepare=metadata(arch=[1, 2])),
    "weights that are no numbers": Hostile(
        "nas validate {t}/x.safetensors $SET", "x.safetensors", prepare=weights(with_nan)
    ),
    "weights that are no numbers, exported": Hostile(
        "nas export {t}/x.safetensors --out {t}/o.onnx", "x.safetensors", prepare=weights(with_nan)
    ),
    "weights of which one is missing": Hostile(
        "nas validate {t}/x.safetensors $SET",
        "x.safetensors",
        prepare=weights(lambda tensors: tensors.pop(next(iter(tensors)))),
    ),
    "a recipe of a bomb": Hostile("nas train {t}/x.yaml", "x.yaml", prepare=write("x.yaml", BOMB)),
    "a recipe that runs code": Hostile(
        "nas train {t}/x.yaml",
        "x.yaml",
        prepare=write("x.yaml", "name: !!python/object/apply:os.system ['touch pwned']"),
    ),
    "a cvat file of entities": Hostile(
        "nas data convert --from cvat {t}/x.xml --out {t}/o.json", "x.xml", prepare=write("x.xml", ENTITIES)
    ),
    # Annotations.
    "an image that leaves the folder": Hostile(
        "nas data check {t}/x.json --images {t}/own/images",
        codes=(0, 1),
        says="outside",
        prepare=annotations(image_file_name="../../../etc/passwd"),
    ),
    "an absolute image": Hostile(
        "nas data check {t}/x.json --images {t}/own/images",
        codes=(0, 1),
        says="outside",
        prepare=annotations(image_file_name="/etc/passwd"),
    ),
    "an image of control characters": Hostile(
        "nas data check {t}/x.json --images {t}/own/images",
        codes=(1,),
        prepare=annotations(image_file_name="\x1b[2J\x07.jpg"),
    ),
    "an image of brackets": Hostile(
        "nas data check {t}/x.json --images {t}/own/images",
        codes=(1,),
        says="[/b].jpg",
        prepare=annotations(image_file_name="[/b].jpg"),
    ),
    "an image of no size": Hostile(VALIDATE, "width", prepare=annotations(image_width=0)),
    "an image of a huge size": Hostile(VALIDATE, prepare=annotations(image_width=10**12)),
    "a keypoint far away": Hostile(
        VALIDATE, codes=(0, 2), says="keypoint", prepare=annotations(keypoints=[1e9, 1e9, 2] * 17)
    ),
    "keypoints in lists": Hostile(VALIDATE, "keypoints", prepare=annotations(keypoints=[[1, 2, 2]] * 17)),
    "keypoints of words": Hostile(VALIDATE, "keypoints", prepare=annotations(keypoints=["a"] * 51)),
    "a segmentation of nothing": Hostile(
        VALIDATE, codes=(0,), prepare=annotations(segmentation=[[]], iscrowd=1)
    ),
    "a segmentation of garbage": Hostile(
        VALIDATE,
        codes=(0,),
        prepare=annotations(segmentation={"size": [128, 160], "counts": "garbage"}, iscrowd=1),
    ),
    "a category of two": Hostile(
        VALIDATE,
        "categor",
        prepare=annotations(
            categories=[
                {"id": i, "name": n, "keypoints": [f"k{j}" for j in range(17)]}
                for i, n in ((1, "cat"), (2, "dog"))
            ]
        ),
    ),
    "no category": Hostile(VALIDATE, "do not name their joints", (0,), annotations(categories=[])),
    # Names and places.
    "a recipe's name that leaves the folder": Hostile("nas train tiny.yaml --set name=../../x", "name"),
    "a run's name that leaves the folder": Hostile("nas train tiny.yaml --name ../../x", "--name"),
    "a run's name of nothing": Hostile("nas train tiny.yaml --name ' '", "--name"),
    "a run's name of control characters": Hostile("nas train tiny.yaml --name $'a\\x1b[2Jb'", "--name"),
    "a subnet's name that leaves the folder": Hostile(
        "nas finetune runs/tiny arch.json --name ../../x", "name"
    ),
    "a transfer's name that leaves the folder": Hostile(
        "nas transfer runs/tiny arch.json --name ../../x", "name"
    ),
    "an output that is the source": Hostile(
        "nas data convert --from crowdpose set/annotations/train.json --out set/annotations/train.json",
        "source",
    ),
    "predictions into the folder of the pictures": Hostile(
        "nas predict m.onnx {t}/in --out {t}/in", codes=(0, 2), prepare=picture
    ),
    "an output folder that is a file": Hostile("nas predict m.onnx set/images --out tiny.yaml", "tiny.yaml"),
    "an output below a file": Hostile("nas predict m.onnx set/images --out tiny.yaml/out", "tiny.yaml"),
    "an export below a file": Hostile("nas export w.safetensors --out tiny.yaml/m.onnx", "tiny.yaml"),
    "an export onto a folder": Hostile("nas export w.safetensors --out set", "set"),
    "a predictor onto a folder": Hostile("nas latency fit table.jsonl --out set", "set"),
    "a plot of another kind": Hostile(
        "nas latency fit table.jsonl --out {t}/p.json --plot {t}/p.exe", "p.exe"
    ),
    "a preview of another kind": Hostile("nas data preview tiny.yaml --out {t}/p.exe", "p.exe"),
    "results into a folder": Hostile("nas validate m.onnx $SET --results set", "set"),
    "brackets in paths": Hostile(
        "mkdir '{t}/[old] nets'; cp m.onnx '{t}/[old] nets/[b].onnx'; "
        "nas predict '{t}/[old] nets/[b].onnx' set/images/001.jpg --out '{t}/[/x]'",
        "[/x]",
        (0,),
    ),
    "control characters in paths": Hostile(
        "cp m.onnx $'{t}'/$'a\\x1b[2J.onnx'; nas validate $'{t}'/$'a\\x1b[2J.onnx' $SET", "\\x1b", (0,)
    ),
    "bytes that are no text in paths": Hostile(
        "cp m.onnx $'{t}'/$'a\\xff.onnx'; nas validate $'{t}'/$'a\\xff.onnx' $SET", "", (0,)
    ),
    # Outputs.
    "a full output": Hostile("nas validate m.onnx $SET > /dev/full", "No space"),
    "a full output of JSON": Hostile("nas validate m.onnx $SET --json > /dev/full", "No space"),
    "a closed output": Hostile("nas predict m.onnx set/images/001.jpg --out {t}/out >&-", "", (0,)),
    "all outputs closed": Hostile(
        "nas predict m.onnx set/images/001.jpg --out {t}/out <&- >&- 2>&-", "", (0,)
    ),
    "a reader that leaves": Hostile(
        "nas space show demo | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}", "", (0, 1)
    ),
    "an output of ASCII": Hostile("nas data stats set", "", (0,), variables={"PYTHONIOENCODING": "ascii"}),
    "no home": Hostile(
        "nas predict m.onnx set/images/001.jpg --out {t}/out", "", (0,), variables={"HOME": "/nowhere"}
    ),
    # Numbers.
    "a budget below all": Hostile("nas search $RUN --budget-ms 0.000001 ", "budget"),
    "a budget that is no number": Hostile("nas search $RUN --budget-ms nan ", "budget"),
    "a budget below zero": Hostile("nas search $RUN --budget-ms -1 ", "budget"),
    "an unknown metric": Hostile("nas search $RUN --budget-ms 5 --metric F1 ", "F1"),
    "a metric that the skeleton lacks": Hostile(
        "nas search $RUN --budget-ms 5 --metric PCK_head@0.5 ", "head"
    ),
    "no trials": Hostile("nas search $RUN --budget-ms 5 --trials 0 ", "trials"),
    "no threads": Hostile("nas predict m.onnx set/images --threads 0 --out {t}/o", "threads"),
    "a score that is no number": Hostile(
        "nas predict m.onnx set/images --min-score nan --out {t}/o", "min-score"
    ),
    "an infinite rate": Hostile("nas train tiny.yaml --name inf --set optimizer.lr=1e999", "lr"),
    "a rate that destroys": Hostile(
        "nas train tiny.yaml --name wild --set optimizer.lr=1e30 --set steps=12", "step"
    ),
    "an unknown field": Hostile("nas train tiny.yaml --set optimizer.learning=1", "learning"),
    "an override without a value": Hostile("nas train tiny.yaml --set optimizer.lr", "--set"),
    "no data": Hostile("nas train tiny.yaml --name none --set data.root={t}/none", "none"),
    "an unknown head": Hostile("nas search $RUN --budget-ms 5 --head nose ", "nose"),
    # Folders.
    "a folder that is no run": Hostile("nas search set --budget-ms 5", "set"),
    "a report of no run": Hostile("nas report set", "set"),
    "a folder without pictures": Hostile("mkdir {t}/none; nas predict m.onnx {t}/none --out {t}/o", "none"),
    "a loop of links": Hostile(
        "mkdir {t}/loop; ln -s {t}/loop {t}/loop/loop; nas predict m.onnx {t}/loop --out {t}/o", "loop"
    ),
    "a picture of nothing": Hostile("nas predict m.onnx /dev/null --out {t}/o", "/dev/null"),
    "a data set of nothing": Hostile("mkdir {t}/none; nas data check {t}/none", "none"),
    "a network of nothing": Hostile("nas predict /dev/null set/images --out {t}/o", "/dev/null"),
    "an imported table that leaves the folder": Hostile(
        'sed \'s/"name":"demo"/"name":"..\\/..\\/..\\/x"/\' table.jsonl > {t}/x.jsonl; '
        "nas latency import {t}/x.jsonl",
        "x",
    ),
    "a database that is none": Hostile("nas search $RUN --budget-ms 5 --storage nonsense", "storage"),
    "a password in a URL": Hostile(
        "nas search $RUN --budget-ms 5 --storage mysql://me:secret@localhost/x", "mysql://me:***@localhost/x"
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_hostile_run_ends_honestly(workspace: Workspace, unharmed: None, name: str) -> None:
    hostile = RUNS[name]
    folder = workspace.folder / f"t{list(RUNS).index(name)}"
    folder.mkdir()
    hostile.prepare(folder)
    mine = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = workspace.run(
        hostile.line.replace("{t}", folder.name).replace("{{", "{").replace("}}", "}"), **hostile.variables
    )
    check(done, hostile.codes, hostile.says)
    assert "secret" not in done.stdout + done.stderr
    assert {path: path.read_bytes() for path in mine} == mine
    assert not (workspace.folder / "pwned").exists()
    assert not (workspace.folder.parent / "x").exists()
    assert not (workspace.folder.parent.parent / "x").exists()


WRITERS = {
    "predict": "nas predict m.onnx set/images --out {d}/out",
    "export": "nas export w.safetensors --out {d}/m.onnx",
    "convert": "nas data convert --from crowdpose set/annotations/train.json --out {d}/c.json",
    "shard": "nas data shard set/annotations/train.json set/images --out {d}/shards",
    "fit": "nas latency fit table.jsonl --out {d}/p.json",
    "measure": "nas latency measure --space demo --samples 2 --visits 1 --table {d}/t.jsonl",
    "preview": "nas data preview tiny.yaml --out {d}/p.jpg --count 2",
    "results": "nas validate m.onnx $SET --results {d}/r.json",
    "train": "nas train tiny.yaml --runs {d}",
    "report": "cp -r runs/tiny {d}/ 2>/dev/null; nas report {d}/tiny",
}


@pytest.fixture(params=["full", "read-only"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small disk that takes nothing."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=8", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    try:
        if request.param == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        else:
            with (folder / "ballast").open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    os.sync()
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_takes_nothing_is_one_line(
    workspace: Workspace, unharmed: None, disk: Path, writer: str
) -> None:
    check(workspace.run(WRITERS[writer].format(d=disk)), (1, 2), says=str(disk.name))
    assert not [path for path in disk.rglob("*") if "draft" in path.name]
