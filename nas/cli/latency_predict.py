"""`nas latency predict`: what a network takes, and what a user pays with it."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import print_json, remark, say
from nas.cli.latency_display import VisitDisplay
from nas.cli.options import JsonOption, finite
from nas.cli.space import SkeletonOption
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.latency import LatencyPredictor


def predict(
    predictor: Annotated[Path, typer.Argument(help="A file of `nas latency fit`.")],
    arch: Annotated[
        str, typer.Argument(help="An arch JSON (ours or LitePose's), or a shipped subnet's name.")
    ],
    skeleton: SkeletonOption = "coco17",
    people: Annotated[int, typer.Option(min=1, help="Expected people per image, for heads on crops.")] = 1,
    detector_ms: Annotated[
        float,
        typer.Option(
            "--detector-ms", min=0, callback=finite, help="Time of the person detector that finds the crops."
        ),
    ] = 0.0,
    detector: Annotated[
        Path | None, typer.Option(help="The person detector's ONNX file, timed here instead.")
    ] = None,
    allow_other_device: Annotated[
        bool, typer.Option("--allow-other-device", help="Use a predictor of another device.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the milliseconds of a network, and what a user pays with it."""
    from nas.latency import EndToEnd, LatencyPredictor
    from nas.space import Arch

    fitted = LatencyPredictor.load(predictor, allow_other_device=allow_other_device)
    _refuse_other_skeleton(fitted, skeleton)
    loaded = Arch.load(arch)
    if detector is not None:
        detector_ms = _time_detector(detector, fitted, instead_of=detector_ms)
    ((low, high),) = fitted.interval_ms([loaded]).tolist()
    network_ms, grouping_ms = fitted.predict_ms(loaded), fitted.grouping_ms(loaded)
    pays = EndToEnd(people, detector_ms)
    known_ms = math.nan if grouping_ms is None else grouping_ms
    total_ms = pays.total_ms(loaded, network_ms=network_ms, grouping_ms=known_ms)
    # What is paid besides the runs of the network does not depend on how long one takes.
    runs = pays.runs(loaded)
    figures: dict[str, Any] = {
        "id": loaded.id,
        "predicted_ms": network_ms,
        "low_ms": low,
        "high_ms": high,
        "grouping_ms": grouping_ms,
        "people": people,
        "detector_ms": detector_ms,
        "total_ms": total_ms,
        "total_low_ms": total_ms + runs * (low - network_ms),
        "total_high_ms": total_ms + runs * (high - network_ms),
        "unknown_kinds": list(fitted.unknown_kinds(loaded)),
    }
    if fitted.remark is not None:
        remark(fitted.remark)
    if as_json:
        print_json(figures | {"device": fitted.device.to_json(), "remark": fitted.remark})
        return
    say(f"{loaded.id} on {fitted.device}")
    if figures["unknown_kinds"]:
        say(
            f"No measured network had {', '.join(figures['unknown_kinds'])}: such kernels are estimated by "
            "their like; measure networks that have them and fit again."
        )
    say(f"predicted {network_ms:.2f} ms, 90 % between {low:.2f} and {high:.2f} ms")
    with_detector = f" and {detector_ms:.2f} ms of a person detector" if detector_ms else ""
    if grouping_ms is None:
        say(
            f"That is one run of the network alone: {fitted.ungrouped(loaded)}. What {people} people"
            f"{with_detector} take together is not known; measure networks with that head and fit again."
        )
        return
    say(
        f"with grouping, for {people} people{with_detector}: {total_ms:.2f} ms, 90 % between "
        f"{figures['total_low_ms']:.2f} and {figures['total_high_ms']:.2f} ms"
    )


def _time_detector(model: Path, fitted: "LatencyPredictor", *, instead_of: float) -> float:
    """The ms of a person detector on this machine, by the predictor's protocol."""
    from nas.latency.endtoend import check_detector
    from nas.shipped import network_file
    from nas.timing import time_networks
    from nas.timing.networks import file_network

    check_detector(detector_ms=instead_of, here=fitted.is_here)
    with VisitDisplay() as display:
        (timing,) = time_networks(
            [file_network(network_file(model))],
            threads=fitted.device.threads,
            protocol=fitted.protocol,
            progress=display,
        )
    return timing.measured_ms + timing.outside_ms


def _refuse_other_skeleton(predictor: "LatencyPredictor", skeleton: str) -> None:
    from nas.space import Skeleton

    known, wanted = predictor.skeleton, Skeleton.load(skeleton)
    if len(wanted) != len(known):
        raise UserError(
            f"the predictor is of skeleton {known.name} ({len(known)} joints), not of {wanted.name} "
            f"({len(wanted)}); give --skeleton {known.name} or fit another one"
        )
