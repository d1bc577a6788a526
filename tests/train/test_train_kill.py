"""kill -9 anywhere: the weights come out as if nothing had happened."""

import itertools
import multiprocessing
import signal
import sys
import time
from pathlib import Path
from typing import Any

import killed_anywhere
import pytest
import yaml
from test_train_resume import same_run
from tiny_training import RECIPE, SPACE

from nas.demo.people import generate
from nas.runs import RunFolder, read_metrics

KILLS = 25
STEPS = 12


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tiny recipe on generated people, with a checkpoint every other step."""
    root = tmp_path_factory.mktemp("people")
    generate(root, images=16, seed=1, size=(96, 96), people_per_image=(1, 1))
    (root / "space.yaml").write_text(yaml.safe_dump(SPACE))
    source = {"annotations": "annotations/people.json", "images": "images"}
    return {
        **RECIPE,
        "space": str(root / "space.yaml"),
        "data": {"root": str(root), "train": source, "augment": "weak", "workers": 0, "cache_mib": 0},
        "steps": STEPS,
        "batch": 2,
        "log_every": 1,
        "checkpoint": {"every": 2, "keep": 2},
        "sampling": {"pool": 20, "bins": 4},
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on this system")
def test_25_kills_anywhere_change_nothing(recipe: dict[str, Any], tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nas.train.supernet", "nas.train", "torch", "cv2"])

    def start(target: Any, *arguments: Any) -> Any:
        process = context.Process(target=target, args=arguments)
        process.start()
        return process

    counted = tmp_path / "touches"
    start(killed_anywhere.count_touches, recipe, str(tmp_path / "straight"), str(counted)).join()
    # Once more, for its length without what only the first process pays.
    began = time.perf_counter()
    start(killed_anywhere.train, recipe, str(tmp_path / "again")).join()
    seconds = time.perf_counter() - began
    straight = RunFolder(tmp_path / "straight")
    same_run(straight, RunFolder(tmp_path / "again"))
    lines = read_metrics(straight.metrics_file)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))

    points = killed_anywhere.kill_points(0, touches=int(counted.read_text()), seconds=seconds)
    killed = 0
    for number, (kind, where) in enumerate(itertools.islice(points, 4 * KILLS)):
        if killed == KILLS:
            break
        folder = tmp_path / f"killed-{number}"
        if kind == "touch":
            process = start(killed_anywhere.train, recipe, str(folder), int(where))
        else:
            process = start(killed_anywhere.train, recipe, str(folder))
            process.join(where)
            process.kill()
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0), f"kill {number} ({kind} {where})"
        if process.exitcode == 0:  # it was faster than the point
            continue
        killed += 1
        process = start(killed_anywhere.train, recipe, str(folder))
        process.join()
        assert process.exitcode == 0, f"after kill {number} ({kind} {where})"
        same_run(straight, RunFolder(folder))
        found = RunFolder(folder).metrics_file.read_text().splitlines()
        assert len(found) == STEPS, f"after kill {number} ({kind} {where})"
        assert len(list((folder / "checkpoints").iterdir())) <= 3
    assert killed == KILLS
