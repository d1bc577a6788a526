"""`nas report`: the page of a run folder, whole and with parts missing."""

import base64
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from browser import chromium, find_chromium
from diagnosis_samples import made_up_figures
from typer.testing import CliRunner

from nas.cli.main import app
from nas.demo.people import generate
from nas.digests import digest_files
from nas.files import write_json
from nas.graph import Tracer, export_onnx
from nas.latency import EndToEnd, LatencyPredictor, arch_network
from nas.models import PoseNet, calibrate, transfer
from nas.report.run_report import write_report
from nas.runs import RunFolder, load_config
from nas.search.estimate import Estimate
from nas.search.finalists import Finalist
from nas.search.measurement import Measurement
from nas.search.results import NOTHING_LEARNED, LatencyPrediction, SearchResult, Subnet
from nas.search.values import Evaluation
from nas.space import Arch, ArchManager, SearchSpace
from nas.timing import LatencyTable, Protocol, Visit, describe_device
from nas.timing.profile import OperatorTime
from nas.timing.table import Source


def made_up_visit(ms: float) -> Visit:
    operators = (OperatorTime("op", "Conv", ms),)
    return Visit(operators, wall_ms=(ms, ms), cpu_ms=(ms,), outside_ms=0.5, date="2030-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("demo")


@pytest.fixture(scope="module")
def tracer(space: SearchSpace) -> Tracer:
    return Tracer(space, "coco17")


@pytest.fixture(scope="module")
def archs(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(0)
    return list(dict.fromkeys(ArchManager(space).sample(rng) for _ in range(12)))


@pytest.fixture(scope="module")
def predictor(
    archs: list[Arch], space: SearchSpace, tracer: Tracer, tmp_path_factory: pytest.TempPathFactory
) -> LatencyPredictor:
    """Fitted to made-up times, 1 ms per MMAC and some noise."""
    path = tmp_path_factory.mktemp("latency") / "table.jsonl"
    rng = np.random.default_rng(1)
    device = describe_device(threads=1)
    with LatencyTable.open(path, device=device, protocol=Protocol(), channel_block=16) as table:
        table.add_source(Source(space.to_json(), tracer.skeleton.to_json()))
        for arch in archs:
            for _ in range(2):
                ms = tracer(arch).macs / 1e6 * rng.uniform(0.98, 1.02)
                table.add(arch_network(arch, tracer), made_up_visit(ms))
    return LatencyPredictor.fit(LatencyTable.read(path), boosted=False)


def search_result(
    run: RunFolder, predictor: LatencyPredictor, archs: list[Arch], tracer: Tracer
) -> SearchResult:
    estimate = Estimate(predictor, tracer, end_to_end=EndToEnd(people=2, detector_ms=4.0))
    history = [
        Evaluation(arch, estimate(arch), number / 20, {"AP": number / 20})
        for number, arch in enumerate(sorted(archs, key=estimate), start=1)
    ]
    best = history[-1]
    measured = Measurement(
        ms=1.25 * best.predicted_ms, network_ms=7.0, grouping_ms=0.5, median_ms=7.0, p95_ms=8.0, loaded=True,
        people=2, detector_ms=4.0,
    )  # fmt: skip
    predicted = LatencyPrediction(estimate.interval(best.arch), estimate.network_interval(best.arch))
    tried = {
        "arch": "abc",
        "predicted_ms": 2.0,
        "low_ms": 1.9,
        "high_ms": 2.1,
        "measured_ms": 2.5,
        "loaded": False,
    }
    return SearchResult(
        subnets=(Subnet(99.0, best, measured, predicted),),
        unmet_ms=(1.5,),
        measured=(Finalist(best, measured),),
        history=tuple(history),
        facts={
            "metric": "AP", "budgets_ms": [1.5, 99.0], "people": 2, "detector_ms": 4.0,
            "device": predictor.device.to_json(), "predictor": str(run.predictor_file),
            "refined_predictor": None,
            "refinement": [{"scored": 4, "wanted": 1, "before": "x", "after": "y", "networks": [tried]}],
        },
        predicted={best.arch.id: predicted},
    )  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    generate(folder / "val", images=3, seed=1)
    return folder


@pytest.fixture(scope="module")
def onnx(archs: list[Arch], tracer: Tracer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The subnet that `search_result` finds, untrained."""
    arch = max(archs, key=lambda arch: tracer(arch).macs)
    torch.manual_seed(0)
    net = PoseNet(arch, "coco17")
    statistics = calibrate(net, arch, torch.randn(4, 3, *arch.resolution))
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export_onnx(transfer(net, arch, statistics), path)
    return path


@pytest.fixture
def empty(tmp_path: Path, people: Path) -> RunFolder:
    val = "data.val={annotations: val/annotations/people.json, images: val/images}"
    return RunFolder.start(tmp_path / "<run>", load_config("demo", [f"data.root={people}", val]))


@pytest.fixture
def whole(
    empty: RunFolder, predictor: LatencyPredictor, archs: list[Arch], tracer: Tracer, onnx: Path
) -> RunFolder:
    predictor.save(empty.predictor_file)
    result = search_result(empty, predictor, archs, tracer)
    result.save(empty.search_folder / "results.json", empty.subnets_folder)
    lines = [{"step": step, "simcc/largest": 5 / step, "val/largest/AP": step / 50} for step in range(1, 30)]
    empty.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(empty.diagnosis_file, made_up_figures())
    fine_tune(empty, "any-name", result.subnets[0].arch, 0.1, 0.4375)
    shutil.copy(onnx, empty.subnets_folder / f"{result.subnets[0].name}.onnx")
    return empty


def fine_tune(run: RunFolder, name: str, arch: Arch, *aps: float, scratch: bool = False) -> None:
    """What a fine-tuning of that name leaves behind."""
    work = run.work_folder(name)
    work.mkdir(parents=True)
    record = {"arch": arch.to_json(), "scratch": scratch, "recipe": {}}
    (work / "finetune.json").write_text(json.dumps(record))
    rows = [{"step": step, "val/subnet/AP": ap} for step, ap in enumerate(aps, start=1)]
    (work / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


class Page(HTMLParser):
    """Words, charts, pictures, and everything that points outside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.cells: list[str] = []
        self.charts: dict[str, dict[str, Any]] = {}
        self.programs: list[str] = []
        self.pictures: list[bytes] = []
        self.outside: list[str] = []
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data") and value is not None:
                if value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,")):
                    self.pictures.append(base64.b64decode(value.partition(",")[2]))
                elif not (value.startswith("#part-") or value == "data:,"):
                    self.outside.append(value)
        if tag in ("iframe", "object", "embed"):
            self.outside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            if data.lstrip().startswith("{"):
                chart = json.loads(data, parse_constant=pytest.fail)
                self.charts[chart["label"]] = chart
            else:
                self.programs.append(data)
        elif data.strip() and self.open[-1] != "style":
            self.words.append(data.strip())
            if {"td", "th"} & set(self.open):
                self.cells.append(data.strip())


def read(path: Path) -> Page:
    """A page that is whole, asks for nothing, and shows no markup as text."""
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.outside == page.open == []
    (program,) = page.programs
    assert not re.search(r"url\(|@import|https?:", text.replace(program, ""))
    assert re.findall(r"https?:[^\"]*|fetch|XMLHttp|import\(|\.src", program) == [
        "http://www.w3.org/2000/svg"
    ]
    assert "default-src 'none'" in text
    assert not any("</" in word for word in page.words)
    return page


def points(page: Page, label: str, name: str) -> list[dict[str, Any]]:
    """The points of a series of a chart, by the beginnings of their names."""
    (chart,) = (chart for title, chart in page.charts.items() if title.startswith(label))
    (series,) = (series for series in chart["series"] if series["name"].startswith(name))
    found: list[dict[str, Any]] = series["points"]
    return found


def row(page: Page, first: str) -> list[str]:
    """Some cells of tables from where a row begins."""
    start = page.cells.index(first)
    return page.cells[start : start + 12]


def test_a_whole_run_is_told_in_one_file(whole: RunFolder) -> None:
    report = write_report(whole)
    assert report.missing == ()
    assert [path.name for path in report.path.parent.iterdir()] == ["index.html"]
    page = read(report.path)
    assert set(page.charts) == {
        "Accuracy over milliseconds with the Pareto front",
        "Predicted over measured milliseconds",
        "Losses of the supernet over steps",
        "Scores on validation images over steps",
        "Accuracy alone over inherited accuracy",
        "Pairs that are right over their difference of inherited accuracy",
    }
    # Three people's labels, and what one network finds.
    assert len(page.pictures) == 6
    for jpeg in page.pictures:
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) is not None
    assert any(re.fullmatch(r"99ms-\w+: OKS \d\.\d\d", word) for word in page.words)
    results: dict[str, Any] = json.loads((whole.search_folder / "results.json").read_text())
    subnet = results["subnets"][0]
    found = row(page, subnet["name"])
    assert found[1:3] == ["99", f"{subnet['predicted_ms']:.3f}"]
    assert found[4:7] == [f"{subnet['measured_ms']:.3f}", "-20.0 %", "no"]
    assert found[7:10] == ["0.600", "0.438", "timed under load"]
    assert "No network was measured within 1.5 ms." in page.words
    assert any("2 people" in word and "detector of 4 ms" in word for word in page.words)
    assert row(page, "abc")[2:7] == ["2.000", "1.900 – 2.100", "2.500", "-20.0 %", "no"]
    assert "– baseline: MACs, linear" in page.words
    assert any(word.startswith("Noise floor (as given)") for word in page.words)
    assert any(str(describe_device(threads=1).fingerprint) in word for word in page.words)
    assert any(word.startswith("12 networks of 1 to 12 ms were trained alone") for word in page.words)
    assert row(page, "another seed (the ceiling)")[1:6] == ["–"] * 5
    assert not any(word.startswith("Missing") for word in page.words)


def test_what_finalists_score_when_trained_is_told(whole: RunFolder) -> None:
    file = whole.search_folder / "results.json"
    results: dict[str, Any] = json.loads(file.read_text())
    subnet = results["subnets"][0]
    before = row(read(write_report(whole).path), subnet["name"])
    subnet["trained"] = [
        {"arch": subnet["arch"], "head": "heatmap", "accuracy": 0.71},
        {"arch": "abc123", "head": "simcc", "accuracy": 0.7},
    ]
    file.write_text(json.dumps(results))
    # Its own training was to choose by, and says nothing of the subnet's fine-tuning.
    former = next(whole.trainings_folder.iterdir())
    shutil.copytree(former, whole.trainings_folder / f"finalist-{subnet['arch'][:6]}-100")
    page = read(write_report(whole).path)
    found = row(page, subnet["name"])
    assert found[:9] == before[:9]
    assert found[9].endswith("trained on for a while: heatmap 0.710, simcc 0.700")
    assert not any("finalist-" in word for word in page.words)


def test_intervals_ties_drift_and_stopped_networks_are_told(whole: RunFolder) -> None:
    file = whole.search_folder / "results.json"
    results: dict[str, Any] = json.loads(file.read_text())
    results["subnets"][0] |= {"accuracy_low": 0.55, "accuracy_high": 0.65, "tied_with": ["abc123"]}
    results["measured"][0] |= {"drift": 1.02, "corrected": True}
    results["evaluated"][0]["stopped_at"] = 40
    file.write_text(json.dumps(results))
    page = read(write_report(whole).path)
    found = row(page, results["subnets"][0]["name"])
    assert found[7] == "0.600 (0.550 - 0.650)"
    assert found[9] == "timed under load, abc123 is as accurate as far as can be told"
    assert any("took 1.020 times what the table says" in word for word in page.words)
    (chosen,) = points(page, "Accuracy over", "chosen")
    assert (chosen["y"], chosen["ys"]) == (pytest.approx(0.6), [0.55, 0.65])
    assert any(line.startswith("AP 0.600 (95 %: 0.550 to 0.650)") for line in chosen["tip"])
    (stopped,) = points(page, "Accuracy over", "stopped early (1)")
    assert stopped["tip"][0] == results["evaluated"][0]["arch"]
    assert stopped["tip"][-1] == "an estimate, stopped after 40 people"
    assert len(points(page, "Accuracy over", "scored (11)")) == 11


def test_a_mark_tells_architecture_time_and_accuracy(
    whole: RunFolder, predictor: LatencyPredictor, archs: list[Arch], tracer: Tracer
) -> None:
    page = read(write_report(whole).path)
    results: dict[str, Any] = json.loads((whole.search_folder / "results.json").read_text())
    best = results["front"][-1]
    arch = next(arch for arch in archs if arch.id == best["arch"])
    interval = Estimate(predictor, tracer, end_to_end=EndToEnd(people=2, detector_ms=4.0)).interval(arch)
    assert points(page, "Accuracy over", "Pareto front")[-1]["tip"] == [
        arch.id,
        f"{interval.predicted_ms:.3f} ms predicted (90 %: {interval.low_ms:.3f} to {interval.high_ms:.3f})",
        "AP 0.600",
    ]
    (chosen,) = points(page, "Accuracy over", "chosen")
    assert chosen["x"] == pytest.approx(results["subnets"][0]["measured_ms"])
    assert chosen["xs"] == pytest.approx([results["subnets"][0][name] for name in ("low_ms", "high_ms")])


def test_published_networks_are_there_for_who_asks(whole: RunFolder) -> None:
    page = read(write_report(whole).path)
    published = points(page, "Accuracy over", "published (15)")
    (chart,) = (chart for label, chart in page.charts.items() if label.startswith("Accuracy over"))
    assert [series["shown"] for series in chart["series"] if series["name"].startswith("published")] == [
        False
    ]
    assert all(point["tip"][-1].startswith("Source: ") for point in published)
    assert row(page, "RTMPose-t")[4:7] == ["5.2", "0.685", "arXiv 2303.07399, mirrored too"]
    change_results(whole, metric="PCK_torso@0.2")
    assert "RTMPose-t" not in read(write_report(whole).path).words


def test_what_is_missing_is_named(empty: RunFolder) -> None:
    report = write_report(empty)
    page = read(report.path)
    assert page.pictures == []
    told = [word for word in page.words if word.startswith("Missing: ")]
    for part in (
        "results of a search",
        "latency predictor",
        "training curve",
        "predicted and measured",
        "a diagnosis",
    ):
        assert any(part in word for word in told), part
        assert any(part in word for word in report.missing), part
    assert any("demo: " in word for word in page.words)


def test_a_search_for_another_device_has_no_measurements(
    whole: RunFolder, predictor: LatencyPredictor, archs: list[Arch], tracer: Tracer
) -> None:
    former = search_result(whole, predictor, archs, tracer)
    subnet = former.subnets[0]
    foreign = SearchResult(
        subnets=(Subnet(99.0, subnet.item, None, subnet.predicted),),
        unmet_ms=(),
        measured=(),
        history=former.history,
        facts={**former.facts, "refinement": []},
    )
    foreign.save(whole.search_folder / "results.json", whole.subnets_folder)
    page = read(write_report(whole).path)
    assert row(page, subnet.name)[4:7] == ["–", "–", "–"]
    assert any("another device" in word for word in page.words)


def test_results_of_an_older_version_still_make_a_page(whole: RunFolder) -> None:
    file = whole.search_folder / "results.json"
    results = json.loads(file.read_text())
    del results["evaluated"], results["refinement"], results["people"], results["detector_ms"]
    kept = ("name", "arch", "budget_ms", "predicted_ms", "measured_ms", "loaded", "inherited_ap", "inherited")
    results["subnets"] = [{name: entry[name] for name in kept} for entry in results["subnets"]]
    points = ("arch", "predicted_ms", "accuracy", "measured_ms", "loaded")
    results["measured"] = [{name: entry[name] for name in points} for entry in results["measured"]]
    file.write_text(json.dumps(results))
    page = read(write_report(whole).path)
    assert len(page.charts) == 6
    assert row(page, results["subnets"][0]["name"])[5] == "-20.0 %"


def test_the_last_place_of_random_networks_is_told_by_head(whole: RunFolder) -> None:
    assert "place of random networks" not in read(write_report(whole).path).words
    places = [
        {"place_of_random/heatmap": 0.25},
        {"place_of_random/heatmap": 0.5, "place_of_random/simcc": 0.125},
    ]
    lines = [
        {"step": step, "simcc/largest": 1.0, **found} for step, found in enumerate([*places, {}], start=30)
    ]
    with whole.metrics_file.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    page = read(write_report(whole).path)
    assert row(page, "place of random networks")[1:5] == ["heatmap", "0.500", "simcc", "0.125"]
    assert [point["y"] for point in points(page, "The place of random", "heatmap")] == [0.25, 0.5]


def test_a_damaged_result_counts_as_missing(whole: RunFolder) -> None:
    (whole.search_folder / "results.json").write_text("{")
    report = write_report(whole)
    assert any("results of a search" in part for part in report.missing)


def test_the_command_says_where_the_page_is(whole: RunFolder, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(whole.path), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed["missing"] == []
    assert Path(printed["report"]) == whole.path / "report" / "index.html"


def subnet_of(run: RunFolder) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((run.search_folder / "results.json").read_text())
    found: dict[str, Any] = results["subnets"][0]
    return found


def test_what_was_fine_tuned_is_told_by_its_architecture(whole: RunFolder, archs: list[Arch]) -> None:
    subnet = subnet_of(whole)
    arch = next(arch for arch in archs if arch.id == subnet["arch"])
    other = next(arch for arch in archs if arch.id != subnet["arch"])
    # Of the subnet's name, but another network; and the subnet itself, from scratch.
    fine_tune(whole, subnet["name"], other, 0.9)
    fine_tune(whole, "alone", arch, 0.8, scratch=True)
    page = read(write_report(whole).path)
    assert row(page, subnet["name"])[8] == "0.438"
    assert row(page, "alone")[:4] == ["alone", arch.id, "0.800", "from scratch"]
    place = page.cells.index("also trained")
    assert page.cells[place:].count(subnet["name"]) == 1
    assert [other.id, "0.900"] == page.cells[page.cells.index(subnet["name"], place) + 1 :][:2]


def test_several_fine_tunings_of_one_subnet_are_all_shown(whole: RunFolder, archs: list[Arch]) -> None:
    subnet = subnet_of(whole)
    arch = next(arch for arch in archs if arch.id == subnet["arch"])
    fine_tune(whole, "longer", arch, 0.6)
    fine_tune(whole, "unscored", arch)
    page = read(write_report(whole).path)
    assert row(page, subnet["name"])[8] == "0.438 (any-name), 0.600 (longer)"


@pytest.mark.parametrize("content", ["{", "{}", '{"arch": null}', '{"arch": {"version": 1}}', "[]"])
def test_a_training_that_does_not_tell_what_it_is_of_is_nobodys(whole: RunFolder, content: str) -> None:
    subnet = subnet_of(whole)
    whole.work_folder("any-name").rename(whole.work_folder(subnet["name"]))
    (whole.work_folder(subnet["name"]) / "finetune.json").write_text(content)
    report = write_report(whole)
    assert any("after fine-tuning" in part for part in [*read(report.path).words])
    assert row(read(report.path), subnet["name"])[8] == "–"


def test_a_summary_counts_by_architecture_too(whole: RunFolder) -> None:
    subnet = subnet_of(whole)
    entries = [
        {"name": "elsewhere", "arch": subnet["arch"], "finetuned_ap": 0.25},
        {"name": subnet["name"], "arch": "0" * 12, "finetuned_ap": 0.75},
    ]
    (whole.path / "summary.json").write_text(json.dumps({"subnets": entries}))
    assert row(read(write_report(whole).path), subnet["name"])[8] == "0.250"


def change_results(run: RunFolder, **fields: object) -> None:
    file = run.search_folder / "results.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def test_a_predictor_that_was_fitted_anew_is_not_the_searchs(whole: RunFolder) -> None:
    change_results(whole, predictor_digest=digest_files(whole.predictor_file))
    assert any("predictor, as given" in word for word in read(write_report(whole).path).words)
    content = json.loads(whole.predictor_file.read_text())
    whole.predictor_file.write_text(json.dumps({**content, "p95_ratio": 1.5}))
    report = write_report(whole)
    assert not any("as given" in word for word in read(report.path).words)
    assert any("latency predictor" in part for part in report.missing)


def test_a_search_that_learned_nothing_says_so(whole: RunFolder) -> None:
    subnet = subnet_of(whole)
    assert not any("average pose" in word for word in read(write_report(whole).path).words)
    change_results(
        whole,
        average_pose_accuracy=0.75,
        better_than_average_pose=False,
        subnets=[{**subnet, "better_than_average_pose": False}],
    )
    page = read(write_report(whole).path)
    assert any("AP 0.750" in word and NOTHING_LEARNED in word for word in page.words)
    assert "timed under load, no better than the average pose" in page.words
    change_results(whole, better_than_average_pose=True)
    page = read(write_report(whole).path)
    assert any("AP 0.750" in word and NOTHING_LEARNED not in word for word in page.words)


def test_what_was_measured_under_another_onnxruntime_is_told(whole: RunFolder) -> None:
    device = describe_device(threads=1)
    assert "Measured on" not in read(write_report(whole).path).words
    change_results(whole, measured_on=replace(device, runtime="onnxruntime 99.0").to_json())
    page = read(write_report(whole).path)
    assert "onnxruntime 99.0" in row(page, "Measured on")[1]


def test_another_figures_ap_is_not_shown_as_the_metric(whole: RunFolder) -> None:
    subnet = subnet_of(whole)
    change_results(whole, metric="PCK_torso@0.2", subnets=[{**subnet, "inherited": {"AP": 0.6}}], front=[])
    assert row(read(write_report(whole).path), subnet["name"])[7] == "–"


MIDDLE = "(edge => [edge.x + edge.width / 2, edge.y + edge.height / 2])({}.getBoundingClientRect())"
TIP = "document.querySelector('.tip').innerText"


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [1440, 390])
def test_a_browser_draws_plots_that_tell_of_their_marks(whole: RunFolder, width: int, tmp_path: Path) -> None:
    path = write_report(whole).path
    shown = read(path)
    with chromium(tmp_path / "browser") as page:
        page.open(path, width=width)
        page.wait("document.querySelectorAll('.plot svg .mark').length")
        drawn = "[...document.querySelectorAll('.plot svg')].filter(svg => svg.querySelector('.mark')).length"
        # The curve of the fine-tuning is folded away.
        assert page.value(drawn) == len(shown.charts)
        assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        page.value("document.querySelector('.chart').scrollIntoView()")
        x, y = page.value(MIDDLE.format("document.querySelector('.plot polygon.star')"))
        if width == 390:
            page.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
            page.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        else:
            page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        (chosen,) = points(shown, "Accuracy over", "chosen")
        assert page.value(TIP).split("\n") == chosen["tip"]
        inside = "(tip => tip.left >= 0 && tip.right <= window.innerWidth)"
        assert page.value(f"{inside}(document.querySelector('.tip').getBoundingClientRect())")
        page.value("document.querySelector('.plot svg').focus()")
        page.send("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
        assert page.value(TIP).split("\n") == points(shown, "Accuracy over", "Pareto front")[0]["tip"]
        page.send("Input.dispatchKeyEvent", type="keyDown", key="Escape")
        assert page.value(TIP) == ""
        legend = "[...document.querySelectorAll('.legend button')]"
        page.value(f"{legend}.find(button => button.innerText.startsWith('published')).click()")
        assert page.value("document.querySelectorAll('.plot polygon.diamond').length") == 15
        light = page.value("getComputedStyle(document.body).backgroundColor")
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert page.value("getComputedStyle(document.body).backgroundColor") != light
        page.screenshot(tmp_path / "page.png")
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith("data:")] == [path.as_uri()]
    assert cv2.imread(str(tmp_path / "page.png")).shape[1] == width
