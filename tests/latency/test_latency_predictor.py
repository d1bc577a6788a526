"""The predictor: recovers what was put in, loads without its table, keeps to its device."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from latency_samples import DEVICE, true_ms, true_visit

import nas
from nas.errors import UserError
from nas.graph import Tracer
from nas.latency.checks import check_predictor
from nas.latency.networks import arch_network
from nas.latency.predictor import LatencyPredictor
from nas.latency.roofline import Roofline
from nas.latency.uncertainty import OTHER_RUNTIME, Uncertainty
from nas.latency.validation import HeldOutErrors
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
from nas.timing.table import LatencyTable


@pytest.fixture(scope="module")
def predictor(made_up_table: Path, tracer: Tracer) -> LatencyPredictor:
    return LatencyPredictor.fit(LatencyTable.read(made_up_table), tracer=tracer)


def _others(space: SearchSpace, count: int = 20) -> list[Arch]:
    rng = np.random.default_rng(99)
    return [ArchManager(space).sample(rng) for _ in range(count)]


def test_a_made_up_machine_is_recovered(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer
) -> None:
    archs = _others(space)
    expected = [true_ms(tracer(arch)) for arch in archs]
    np.testing.assert_allclose(predictor.predict_ms(archs, tracer=tracer), expected, rtol=0.02)
    assert predictor.validation.held_out.mape < 0.01
    assert predictor.validation.held_out.mape < predictor.validation.baselines["MACs, linear"].mape
    assert predictor.validation.held_out.spearman > 0.99
    assert predictor.validation.matched == pytest.approx(1)


def test_one_arch_gives_one_number(predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer) -> None:
    arch = ArchManager(space).largest()
    assert predictor.predict_ms(arch, tracer=tracer) == predictor.predict_ms([arch], tracer=tracer)[0]


def test_a_saved_predictor_needs_no_table(
    predictor: LatencyPredictor, space: SearchSpace, tmp_path: Path
) -> None:
    file = tmp_path / "folder" / "predictor.json"
    predictor.save(file)
    loaded = LatencyPredictor.load(file, device=DEVICE)
    archs = _others(space, 3)
    np.testing.assert_array_equal(loaded.predict_ms(archs), predictor.predict_ms(archs))
    assert loaded.validation == predictor.validation
    assert loaded.skeleton == Skeleton.load("coco17")


def test_archs_outside_the_space_are_predicted_too(predictor: LatencyPredictor, space: SearchSpace) -> None:
    largest = ArchManager(space).largest()
    height, width = largest.resolution
    doubled = largest.with_resolution((2 * height, 2 * width))
    assert not space.contains(doubled)
    assert predictor.predict_ms(doubled) > 2 * predictor.predict_ms(largest)


def test_another_device_is_refused_unless_allowed(predictor: LatencyPredictor, tmp_path: Path) -> None:
    file = tmp_path / "predictor.json"
    predictor.save(file)
    other = replace(DEVICE, instruction_set=("avx2",), runtime="onnxruntime 7.7.7")
    with pytest.raises(UserError) as refusal:
        LatencyPredictor.load(file, device=other)
    assert DEVICE.fingerprint in str(refusal.value)
    assert other.fingerprint in str(refusal.value)
    assert LatencyPredictor.load(file, device=other, allow_other_device=True).device == DEVICE
    with pytest.raises(UserError, match="predicts for"):
        LatencyPredictor.load(file)


def test_another_onnxruntime_costs_width_and_a_remark(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer, tmp_path: Path
) -> None:
    file, again = tmp_path / "predictor.json", tmp_path / "again.json"
    predictor.save(file)
    newer = LatencyPredictor.load(file, device=replace(DEVICE, runtime="onnxruntime 7.7.7"))
    archs = _others(space, 3)
    own = LatencyPredictor.load(file, device=DEVICE)
    assert own.remark is None
    assert newer.remark is not None
    assert "onnxruntime 1.0.0" in newer.remark
    assert "onnxruntime 7.7.7" in newer.remark
    assert newer.device == DEVICE
    ms = own.predict_ms(archs, tracer=tracer)
    np.testing.assert_array_equal(newer.predict_ms(archs, tracer=tracer), ms)
    near, far = own.interval_ms(archs, tracer=tracer), newer.interval_ms(archs, tracer=tracer)
    np.testing.assert_allclose(ms / far[:, 0], ms / near[:, 0] + OTHER_RUNTIME)
    assert (far[:, 1] > near[:, 1]).all()
    # What is saved is as it was fitted: nothing adds up from version to version.
    newer.save(again)
    assert again.read_bytes() == file.read_bytes()


def _under_load(table: Path, path: Path, *, share: float, load: float = 0.5) -> LatencyTable:
    """A table whose first visits are flagged, with the same times."""
    lines = [json.loads(line) for line in table.read_text().splitlines()]
    visits = [line for line in lines if line["row"] == "visit"]
    for line in visits[: round(share * len(visits))]:
        line.update(loaded=True, foreign_load=load)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return LatencyTable.read(path)


def test_intervals_are_the_wider_the_more_was_timed_under_load(
    made_up_table: Path, space: SearchSpace, tracer: Tracer, tmp_path: Path
) -> None:
    archs = _others(space, 4)
    quiet = LatencyPredictor.fit(LatencyTable.read(made_up_table), tracer=tracer, boosted=False)
    ms, bounds = quiet.predict_ms(archs, tracer=tracer), quiet.interval_ms(archs, tracer=tracer)
    former = ms / bounds[:, 0]
    # Flags alone: the same times, the same predictions, and nothing else than the width changes.
    for number, (share, load) in enumerate([(0.1, 0.5), (0.5, 0.5), (1, 0.5), (1, 0.9)]):
        table = _under_load(made_up_table, tmp_path / f"{number}.jsonl", share=share, load=load)
        loaded = LatencyPredictor.fit(table, tracer=tracer, boosted=False)
        np.testing.assert_array_equal(loaded.predict_ms(archs, tracer=tracer), ms)
        width = ms / loaded.interval_ms(archs, tracer=tracer)[:, 0]
        assert (width > former).all()
        former = width
        loaded.save(tmp_path / "predictor.json")
        kept = LatencyPredictor.load(tmp_path / "predictor.json", device=DEVICE)
        np.testing.assert_array_equal(ms / kept.interval_ms(archs, tracer=tracer)[:, 0], width)


def test_the_table_of_a_busy_machine_holds_the_undisturbed_time(
    made_up_table: Path, space: SearchSpace, tracer: Tracer, tmp_path: Path
) -> None:
    """All times are a tenth too long, which held-out networks cannot tell."""
    lines = [json.loads(line) for line in made_up_table.read_text().splitlines()]
    for line in lines:
        if line["row"] == "visit":
            longer = {name: [1.1 * ms for ms in line[name]] for name in ("operators", "wall_ms", "cpu_ms")}
            line.update(longer, loaded=True, foreign_load=0.9)
    path = tmp_path / "busy.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    busy = LatencyPredictor.fit(LatencyTable.read(path), tracer=tracer, boosted=False)
    archs = _others(space)
    low, high = busy.interval_ms(archs, tracer=tracer).T
    truth = np.array([true_ms(tracer(arch)) for arch in archs])
    assert ((low < truth) & (truth < high)).mean() >= 0.9
    blind = replace(busy, uncertainty=replace(busy.uncertainty, loaded=0.0))
    assert (blind.interval_ms(archs, tracer=tracer)[:, 0] > truth).mean() > 0.9


def test_without_load_an_interval_is_what_it_was(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer
) -> None:
    """To the last bit: base, slope and scores alone."""
    archs = _others(space, 4)
    ms, found = predictor.predict_ms(archs, tracer=tracer), predictor.uncertainty
    assert found.loaded == 0
    bare = replace(predictor, uncertainty=Uncertainty(found.base, 0.0, found.scores))
    rank = min(len(found.scores), int(np.ceil((len(found.scores) + 1) * 0.9))) - 1
    error = found.scores[rank] * found.base
    expected = np.stack([ms / (1 + error), ms / (1 - error)], axis=1)
    np.testing.assert_array_equal(bare.interval_ms(archs, tracer=tracer), expected)


def test_a_network_that_was_checked_under_load_has_a_wider_interval(
    made_up_table: Path, space: SearchSpace, tracer: Tracer, tmp_path: Path
) -> None:
    arch = _others(space, 1)[0]
    found = []
    for name, load in (("quiet", {}), ("busy", {"loaded": True, "foreign_load": 0.8})):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(made_up_table.read_bytes())
        header = LatencyTable.read(path)
        with LatencyTable.open(
            path, device=header.device, protocol=header.protocol, channel_block=header.channel_block
        ) as table:
            table.add(
                arch_network(arch, tracer, name="checked", check=True),
                replace(true_visit(tracer(arch)), **load),
            )  # type: ignore[arg-type]
        table = LatencyTable.read(path)
        predictor = LatencyPredictor.fit(table, tracer=tracer, boosted=False)
        assert predictor.uncertainty.loaded == 0, "what is only checked is not fitted to"
        found += check_predictor(predictor, table)
    quiet, busy = found
    assert quiet.predicted_ms == busy.predicted_ms
    assert busy.low_ms < quiet.low_ms < quiet.high_ms < busy.high_ms


def test_files_of_before_tell_load_by_their_networks(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer, tmp_path: Path
) -> None:
    file = tmp_path / "predictor.json"
    predictor.save(file)
    content = json.loads(file.read_text())
    del content["uncertainty"]["loaded"]
    archs, bounds = _others(space, 3), []
    for loaded in (0, 6, 60):
        content["validation"]["loaded"] = loaded
        file.write_text(json.dumps(content))
        bounds.append(LatencyPredictor.load(file, device=DEVICE).interval_ms(archs, tracer=tracer))
    np.testing.assert_array_equal(bounds[0], predictor.interval_ms(archs, tracer=tracer))
    assert (bounds[2][:, 0] < bounds[1][:, 0]).all()
    assert (bounds[1][:, 0] < bounds[0][:, 0]).all()


def test_files_that_are_no_predictors(predictor: LatencyPredictor, tmp_path: Path) -> None:
    file = tmp_path / "predictor.json"
    with pytest.raises(UserError, match="cannot read"):
        LatencyPredictor.load(file)
    file.write_text("{")
    with pytest.raises(UserError, match="cannot read"):
        LatencyPredictor.load(file)
    predictor.save(file)
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"version": 99}))
    with pytest.raises(UserError, match="not a latency predictor of version"):
        LatencyPredictor.load(file)
    del content["model"]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="model"):
        LatencyPredictor.load(file)


def test_kinds_that_were_never_measured_are_named_and_estimated_by_their_family(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer
) -> None:
    arch = ArchManager(space).smallest()
    weights = {kind: ms for kind, ms in predictor.model.roofline.weights.items() if "depthwise" not in kind}
    model = replace(predictor.model, roofline=Roofline(weights))
    blind = replace(predictor, model=model)
    unknown = blind.unknown_kinds(arch, tracer=tracer)
    assert unknown
    assert all("depthwise" in kind for kind in unknown)
    assert predictor.unknown_kinds(arch, tracer=tracer) == ()
    assert 0 < blind.predict_ms(arch, tracer=tracer) != predictor.predict_ms(arch, tracer=tracer)


def test_where_the_time_goes_adds_up(predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer) -> None:
    arch = ArchManager(space).largest()
    parts = predictor.kernel_ms(arch, tracer=tracer)
    assert sum(ms for _, _, ms in parts) == pytest.approx(predictor.predict_ms(arch, tracer=tracer))
    assert {scope.partition(".")[0] for scope, _, _ in parts} >= {"stems", "stages", "heads"}


def test_a_user_pays_for_every_person_of_a_crop_head(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer
) -> None:
    arch = ArchManager(space).smallest()
    network = predictor.predict_ms(arch, tracer=tracer)
    grouping = predictor.outside_ms[arch.head.type]
    assert grouping == 0.25
    assert space.task == "crop"
    np.testing.assert_allclose(predictor.total_ms([arch], people=3, tracer=tracer), 3 * (network + grouping))


def test_intervals_are_of_predicted_over_measured(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer
) -> None:
    # Of nine held-out networks, half err by up to 10 %.
    flat = replace(predictor, uncertainty=Uncertainty(0.1, 0.0, (0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 2)))
    archs = [ArchManager(space).largest()]
    ms = flat.predict_ms(archs, tracer=tracer)
    bounds = flat.interval_ms(archs, coverage=0.5, tracer=tracer)
    np.testing.assert_allclose(bounds, [[ms[0] / 1.1, ms[0] / 0.9]])


def test_intervals_are_wider_for_networks_unlike_the_measured_ones(
    predictor: LatencyPredictor, space: SearchSpace, tracer: Tracer
) -> None:
    wary = replace(predictor, uncertainty=Uncertainty(0.01, 0.1, (1.0,)))
    largest = ArchManager(space).largest()
    height, width = largest.resolution
    strange = largest.with_resolution((4 * height, 4 * width))
    bounds = wary.interval_ms([largest, strange])
    known, unknown = (bounds[:, 1] / bounds[:, 0]).tolist()
    assert 1.01 < known < unknown


def test_few_networks_are_not_enough(made_up_table: Path, tracer: Tracer, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(made_up_table.read_text().splitlines(keepends=True)[:6]))
    with pytest.raises(UserError, match="2 networks in fp32; a predictor needs"):
        LatencyPredictor.fit(LatencyTable.read(few), tracer=tracer)


def test_the_skeleton_must_be_in_the_table(made_up_table: Path) -> None:
    with pytest.raises(UserError, match="coco17"):
        LatencyPredictor.fit(LatencyTable.read(made_up_table), skeleton="mpii16")


def test_held_out_errors() -> None:
    errors = HeldOutErrors.of(np.array([1.04, 2.14, 4.8, 8.0]), np.array([1.0, 2.0, 4.0, 8.0]))
    assert errors.mape == pytest.approx((0.04 + 0.07 + 0.2) / 4)
    assert errors.maximum == pytest.approx(0.2)
    assert (errors.within_5, errors.within_10, errors.spearman) == pytest.approx((0.5, 0.75, 1.0))


def test_predicting_needs_neither_onnxruntime_nor_scikit_learn() -> None:
    code = "import sys, nas.latency; print({'onnxruntime', 'sklearn'} & sys.modules.keys())"
    environment = {**os.environ, "PYTHONPATH": str(Path(nas.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, env=environment, text=True, check=True)
    assert found.stdout.strip() == "set()"
