"""Looks at the validation set with every trained network, and times all architectures side by side."""

from datetime import date
from typing import Any

from benchmarks.flagship.rows import Comparison
from benchmarks.flagship.workplace import Workplace
from nas.data import Annotations
from nas.documents import read_json
from nas.errors import UserError
from nas.evaluate.loading import load_model
from nas.evaluate.validate import find
from nas.files import is_file, write_json
from nas.graph import Tracer
from nas.latency import LatencyPredictor, arch_network
from nas.runs import RunFolder
from nas.runtime.results import write_results
from nas.search.drift import Drift, References
from nas.search.measuring import Bench, paid_ms
from nas.space import Skeleton
from nas.timing import Protocol, describe_device, time_networks
from nas.timing.timing import noise_floor


def validation_set(run: RunFolder) -> Annotations:
    """What trained networks are compared on. Raises UserError where it is not one set."""
    config = run.config()
    sets = config.data.load_val(Skeleton.load(config.skeleton))
    if len(sets) != 1:
        raise UserError(f"{run.config_file}: data.val names {len(sets)} sets; the comparison is on one")
    return sets[0]


def score_rows(place: Workplace, comparison: Comparison, *, threads: int = 1) -> None:
    """Keep what every trained network finds in the boxes of the annotations, without flip."""
    annotations = validation_set(place.run)
    for row in comparison.rows:
        file = place.poses_file(row)
        if file is None or is_file(file):
            continue
        model = load_model(place.weights_file(row), threads=threads)
        found = find(model, annotations).detections
        write_results(file, found)
        print(f"{row.name}: {len(found)} poses", flush=True)


def time_picks(place: Workplace, comparison: Comparison, *, visits: int = 9) -> None:
    """Time all architectures in one run, beside what the run's predictor says; once for the same ones.

    Networks of the predictor's table are timed along: what they take longer now is taken off all times.
    """
    picked = {
        place.pick_file(pick, budget).stem: arch
        for pick, budget in comparison.picks
        if (arch := place.picked(pick, budget)) is not None
    }
    if not picked:
        raise UserError(f"{place.folder}: nothing is picked yet")
    ids = {name: arch.id for name, arch in picked.items()}
    if is_file(place.timings_file):
        known = read_json(place.timings_file)["networks"]
        if {name: known.get(name, {}).get("arch") for name in ids} == ids:
            print("all of them are timed already", flush=True)
            return
    skeleton = Skeleton.load(place.run.config().skeleton)
    predictor = LatencyPredictor.load(place.run.predictor_file, allow_other_device=True)
    tracers = {name: Tracer(arch, skeleton) for name, arch in picked.items()}
    threads, protocol = predictor.device.threads, Protocol(visits=visits)
    space = place.run.config().load_space()
    bench = Bench(space, Tracer(space, skeleton), threads=threads, protocol=protocol)
    table = place.run.predictor_file.with_name("table.jsonl")
    references = References(table if is_file(table) else None, predictor, bench).besides(picked.values())
    timings = time_networks(
        [
            *(arch_network(arch, tracers[name], name=name) for name, arch in picked.items()),
            *(network for network, _ in references),
        ],
        threads=threads,
        protocol=protocol,
    )
    drift = Drift.of(timings[len(picked) :], [timing for _, timing in references])
    slower = drift.correction if drift else 1.0
    networks: dict[str, Any] = {}
    for (name, arch), timing in zip(picked.items(), timings[: len(picked)], strict=True):
        graph = tracers[name](arch)
        (predicted,) = predictor.total_ms([arch], tracer=tracers[name]).tolist()
        networks[name] = {
            "arch": arch.id,
            "mmac": graph.macs / 1e6,
            "params": graph.params,
            "predicted_ms": predicted,
            "measured_ms": paid_ms(timing) / slower,
            "uncorrected_ms": paid_ms(timing),
            "loaded": timing.loaded,
        }
    content = {
        "date": str(date.today()),
        "device": describe_device(threads=predictor.device.threads).to_json(),
        "visits": visits,
        "noise": noise_floor(timings),
        "drift": None if drift is None else vars(drift),
        "predictor_is_of_this_machine": predictor.is_here,
        "networks": networks,
    }
    write_json(place.timings_file, content)
