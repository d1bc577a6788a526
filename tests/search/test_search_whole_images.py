"""Two whole-image supernets in one search on photographs: four heads on one body, and a light one."""

import json
import multiprocessing
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from nas.cli.main import run as nas
from nas.graph import Tracer
from nas.latency import LatencyPredictor, measure_space
from nas.runs import RunFolder
from nas.runs.config import SupernetConfig
from nas.runs.subnet_file import load_subnet
from nas.search.run import predicted_cost
from nas.space import ArchManager, SearchSpace, Skeleton
from nas.timing import LatencyTable, Protocol
from nas.train import train_supernet, transfer_subnet

pytestmark = pytest.mark.slow

SIDE = (256, 256)
SPACES = {"crowd": "any-head-crowd", "movenet": "movenet"}
TRIALS = 16
"""A quarter of them is for each: four, one for every head of the first."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["nas.locks", "nas.cli.main", "nas.search.together"])


def space_of(name: str) -> SearchSpace:
    return SearchSpace.load(SPACES[name]).narrow(resolutions=[SIDE])


@pytest.fixture(scope="module")
def trained(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs that have learned a little, each started by itself, and one predictor."""
    folder, skeleton = tmp_path_factory.mktemp("runs"), Skeleton.load("coco17")
    protocol = Protocol(visits=1, warmups=1, runs=3, patience=0)
    table = RunFolder(folder / "crowd").table_file
    for number, (name, space) in enumerate(SPACES.items()):
        recipe = {
            "name": name,
            "space": space,
            "skeleton": "coco17",
            "data": {
                "root": str(shared_data / "coco_mini"),
                "train": {"annotations": "annotations/coco17_train.json", "images": "images"},
                "augment": "weak",
                "workers": 0,
                "cache_mib": 0,
            },
            "steps": 4,
            "batch": 2,
            "resolutions": [list(SIDE)],
            "schedule": {"warmup": 1},
            "ema": {"decay": 0.9},
            "sandwich": {"random": 1},
            "sampling": {"pool": 20, "bins": 2},
            "accelerator": "cpu",
            "threads": 1,
            "calibration": {"images": 4, "batch": 2},
            "seed": number,
        }
        train_supernet(SupernetConfig.read(recipe, "recipe"), folder / name)
        measure_space(space_of(name), skeleton, samples=6, table=table, protocol=protocol)
    LatencyPredictor.fit(LatencyTable.read(table), boosted=False).save(table.with_name("predictor.json"))
    return folder


@pytest.fixture(scope="module")
def budgets(trained: Path) -> tuple[float, float]:
    """Both can be met by both."""
    predictor = LatencyPredictor.load(RunFolder(trained / "crowd").predictor_file)
    least = [
        predicted_cost(predictor, Tracer(space, "coco17"))(ArchManager(space).smallest(head=head))
        for space in map(space_of, SPACES)
        for head in space.heads
    ]
    return 1.2 * max(least), 4 * max(least)


def command(folder: Path, budgets: tuple[float, float]) -> list[str]:
    small, large = (f"{budget:.6g}" for budget in budgets)
    return [
        "search", str(folder / "crowd"), "--also", str(folder / "movenet"), "--budget-ms", small,
        "--budget-ms", large, "--trials", str(TRIALS), "--finalists", "1",
    ]  # fmt: skip


def _work(arguments: list[str]) -> None:
    """The command, in a fork."""
    sys.exit(nas(arguments))


def scored(folder: Path) -> dict[str, list[str]]:
    """Networks that are scored, by run."""
    found = {}
    for name in SPACES:
        file = RunFolder(folder / name).evaluations_file
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
        # Finalists may have been scored once more, on more calibration images.
        found[name] = [row["id"] for row in rows if row["key"] == rows[0]["key"]]
    return found


def results(folder: Path) -> Any:
    return json.loads(RunFolder(folder / "crowd").results_file.read_text())


def history(folder: Path) -> list[tuple[Any, ...]]:
    """What was scored; the last digits of a prediction depend on what else was asked with it."""
    return [
        (entry["run"], entry["arch"], entry["accuracy"], round(entry["predicted_ms"], 6))
        for entry in results(folder)["evaluated"]
    ]


def test_both_spaces_are_searched_as_one_whatever_is_killed(
    trained: Path, budgets: tuple[float, float], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "killed"))
    process = _forks.Process(target=_work, args=(command(folder, budgets),))
    process.start()
    while sum(map(len, scored(folder).values())) < 3:
        process.join(timeout=0.1)
        assert process.is_alive(), "ended before it was killed"
    process.kill()
    process.join()
    assert not RunFolder(folder / "crowd").results_file.exists()
    assert nas(command(folder, budgets)) == 0

    counts = {name: len(archs) for name, archs in scored(folder).items()}
    assert sum(counts.values()) == TRIALS
    assert min(counts.values()) >= TRIALS // 4
    found = results(folder)
    assert {entry["run"]: entry["scored"] for entry in found["runs"]} == {
        ".": counts["crowd"],
        "../movenet": counts["movenet"],
    }
    assert {entry["run"] for entry in found["evaluated"]} == {".", "../movenet"}
    crowd = RunFolder(folder / "crowd")
    rows = map(json.loads, crowd.evaluations_file.read_text().splitlines())
    assert {row["arch"]["head"]["type"] for row in rows} == set(space_of("crowd").heads)
    assert found["subnets"]
    for entry in found["subnets"]:
        assert entry["measured_ms"] <= entry["budget_ms"]
        own = crowd.at(entry["run"])
        arch = load_subnet(own, crowd.subnets_folder / f"{entry['name']}.json")
        assert space_of(own.path.name).contains(arch)
        assert transfer_subnet(own, arch).is_file()

    undisturbed = Path(shutil.copytree(trained, tmp_path / "undisturbed"))
    assert nas(command(undisturbed, budgets)) == 0
    assert history(undisturbed) == history(folder)
