"""A predictor of one made-up machine, corrected for another one by few networks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from latency_samples import BLOCK, DEVICE, other_kernel_ms, true_visit
from typer.testing import CliRunner

from nas.cli.latency import app
from nas.errors import UserError
from nas.graph import Tracer
from nas.latency.attribution import TimedKernels
from nas.latency.correction import Correction
from nas.latency.kernel_model import KernelModel
from nas.latency.mirror import KernelMirror
from nas.latency.networks import arch_network
from nas.latency.predictor import LatencyPredictor
from nas.latency.samples import Samples
from nas.latency.uncertainty import Novelty
from nas.space import Arch, ArchManager, SearchSpace
from nas.timing.protocol import Protocol
from nas.timing.table import LatencyTable, Source

OTHER = replace(DEVICE, cpu="Example 2", threads=2)


@pytest.fixture(scope="module")
def known(made_up_table: Path, tracer: Tracer) -> LatencyPredictor:
    return LatencyPredictor.fit(LatencyTable.read(made_up_table), tracer=tracer, boosted=False)


def table_of(path: Path, space: SearchSpace, tracer: Tracer, *, networks: int = 5) -> LatencyTable:
    """A table of the other machine, as `measure` draws: the smallest and the largest, and some between."""
    manager, rng = ArchManager(space), np.random.default_rng(5)
    archs = [manager.smallest(), manager.largest(), *(manager.sample(rng) for _ in range(networks - 2))]
    with LatencyTable.open(path, device=OTHER, protocol=Protocol(), channel_block=BLOCK) as table:
        table.add_source(Source(space.to_json(), tracer.skeleton.to_json()))
        for arch in archs:
            table.add(arch_network(arch, tracer), true_visit(tracer(arch), kernel_ms=other_kernel_ms))
    return LatencyTable.read(path)


@pytest.fixture(scope="module")
def few(space: SearchSpace, tracer: Tracer, tmp_path_factory: pytest.TempPathFactory) -> LatencyTable:
    return table_of(tmp_path_factory.mktemp("few") / "few.jsonl", space, tracer)


@pytest.fixture(scope="module")
def corrected(few: LatencyTable, known: LatencyPredictor, tracer: Tracer) -> LatencyPredictor:
    return LatencyPredictor.fit(few, tracer=tracer, other=known, boosted=False)


def others(space: SearchSpace) -> list[Arch]:
    rng = np.random.default_rng(99)
    return [ArchManager(space).sample(rng) for _ in range(20)]


def truth(archs: list[Arch], tracer: Tracer) -> np.ndarray[Any, Any]:
    mirror = KernelMirror(BLOCK)
    return np.array([sum(other_kernel_ms(p.kernel) for p in mirror(tracer(arch))) for arch in archs])


def test_five_networks_correct_another_machines_predictor(
    known: LatencyPredictor, corrected: LatencyPredictor, space: SearchSpace, tracer: Tracer
) -> None:
    archs = others(space)
    wanted = truth(archs, tracer)
    errors = np.abs(corrected.predict_ms(archs, tracer=tracer) / wanted - 1)
    assert errors.mean() < 0.01
    # No single factor does: kinds and sizes differ by different ones.
    scaled = known.predict_ms(archs, tracer=tracer)
    scaled *= np.exp(np.log(wanted / scaled).mean())
    assert np.abs(scaled / wanted - 1).mean() > 3 * errors.mean()
    assert (corrected.device, corrected.corrects) == (OTHER, DEVICE)
    assert corrected.validation.networks == 5
    assert corrected.validation.held_out.mape < 0.03


def test_what_was_never_timed_here_is_predicted_by_what_is_like_it(
    known: LatencyPredictor, few: LatencyTable, tracer: Tracer
) -> None:
    networks = Samples.of(few, tracer=tracer).networks
    model = KernelModel.fit(networks, other=known.model, boosted=False)
    correction = model.corrections[-1]
    kernel = next(k for n in networks for k in n.kernels if "depthwise" in k.kind)
    strange = kernel._replace(kind="conv.depthwise9")
    factor = float(correction.factors([strange], np.ones(1))[0])
    like = float(correction.factors([kernel], np.ones(1))[0])
    assert not model.knows(strange)
    assert factor == pytest.approx(like, rel=0.5)
    assert Correction({}).factors([kernel], np.ones(1)) == [1.0]


def test_a_corrected_predictor_needs_neither_table_nor_the_other(
    corrected: LatencyPredictor, space: SearchSpace, tmp_path: Path
) -> None:
    corrected.save(tmp_path / "predictor.json")
    loaded = LatencyPredictor.load(tmp_path / "predictor.json", device=OTHER)
    archs = others(space)[:3]
    np.testing.assert_array_equal(loaded.predict_ms(archs), corrected.predict_ms(archs))
    np.testing.assert_array_equal(loaded.interval_ms(archs), corrected.interval_ms(archs))
    assert loaded.corrects == DEVICE


def test_a_fit_anew_begins_with_what_the_first_began_with(
    known: LatencyPredictor, corrected: LatencyPredictor, few: LatencyTable, tracer: Tracer
) -> None:
    """As a search does that refines it: corrections do not pile up."""
    assert known.other is None
    assert corrected.other is not None
    again = LatencyPredictor.fit(few, tracer=tracer, other=corrected.other, boosted=False)
    assert again.model.to_json() == corrected.model.to_json()
    assert again.corrects == DEVICE


def test_trees_correct_what_lines_leave(known: LatencyPredictor, few: LatencyTable, tracer: Tracer) -> None:
    boosted = LatencyPredictor.fit(few, tracer=tracer, other=known, boosted=True)
    assert boosted.model.is_boosted
    assert not known.model.is_boosted
    networks = Samples.of(few, tracer=tracer).networks
    labels = np.array([network.label_ms for network in networks])
    predicted = boosted.model.network_ms([network.kernels for network in networks])
    np.testing.assert_allclose(predicted, labels, rtol=0.01)
    assert KernelModel.from_json(boosted.model.to_json()).to_json() == boosted.model.to_json()


def test_profiles_that_cannot_be_assigned_scale_the_other_predictor(
    known: LatencyPredictor, few: LatencyTable, tracer: Tracer
) -> None:
    networks = [replace(network, matched=0.5) for network in Samples.of(few, tracer=tracer).networks]
    doubled: list[TimedKernels] = [
        replace(n, label_ms=2 * float(known.model.network_ms([n.kernels])[0])) for n in networks
    ]
    model = KernelModel.fit(doubled, other=known.model)
    wanted = [network.label_ms for network in doubled]
    np.testing.assert_allclose(model.network_ms([n.kernels for n in doubled]), wanted, rtol=0.02)
    assert model.other is not None
    assert model.other.to_json() | {"scale": None} == known.model.to_json() | {"scale": None}


def test_kernels_that_were_timed_on_either_machine_are_no_news(few: LatencyTable, tracer: Tracer) -> None:
    kernels = sorted({k for n in Samples.of(few, tracer=tracer).networks for k in n.kernels})
    one, two = Novelty.of(kernels[::2]), Novelty.of(kernels[1::2])
    assert one(kernels).max() > 0
    both = one.joined(two)
    assert both(kernels).max() == 0
    assert both.to_json() == Novelty.of(kernels).to_json()


def test_grouping_that_was_not_timed_here_is_longer_by_what_was(few: LatencyTable, tracer: Tracer) -> None:
    samples = Samples.of(few, tracer=tracer)
    (head, ms), *_ = samples.outside_by_head().items()
    assert samples.outside_by_head({head: ms / 2, "crystal": 1.0})["crystal"] == pytest.approx(2.0)
    assert "crystal" not in samples.outside_by_head({"crystal": 1.0})


def test_two_networks_correct_nothing(
    known: LatencyPredictor, space: SearchSpace, tracer: Tracer, tmp_path: Path
) -> None:
    table = table_of(tmp_path / "two.jsonl", space, tracer, networks=2)
    with pytest.raises(UserError, match="2 networks in fp32; a predictor needs 3 or more"):
        LatencyPredictor.fit(table, tracer=tracer, other=known)


def test_what_is_no_correction_is_named(corrected: LatencyPredictor, tmp_path: Path) -> None:
    path = tmp_path / "predictor.json"
    corrected.save(path)
    content = json.loads(path.read_text())
    content["model"]["corrections"][0]["lines"]["*"] = [1.0]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"model\.corrections\.lines\.\*: expected a list of 2 numbers"):
        LatencyPredictor.load(path, device=OTHER)


@pytest.mark.slow
def test_the_command_corrects_and_says_what(
    known: LatencyPredictor, few: LatencyTable, tmp_path: Path
) -> None:
    given = tmp_path / "predictor.json"
    known.save(given)
    table = tmp_path / "table.jsonl"
    table.write_bytes(few.path.read_bytes())
    with pytest.raises(UserError, match=r"`output`: .*predictor\.json is the predictor to begin with"):
        CliRunner().invoke(
            app, ["fit", str(table), "--from", str(given), "--roofline"], catch_exceptions=False
        )
    out = ["--out", str(tmp_path / "other.json"), "--roofline"]
    result = CliRunner().invoke(app, ["fit", str(table), "--from", str(given), *out], catch_exceptions=False)
    assert result.exit_code == 0
    assert "They correct a predictor of Example 1" in result.stdout
    assert LatencyPredictor.load(str(tmp_path / "other.json"), device=OTHER).corrects == DEVICE
