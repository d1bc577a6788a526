"""`nas latency fit`: a predictor from a table, and what it is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.options import JsonOption, SeedOption
from nas.outputs import PICTURE, PREDICTOR, require_replaceable

NOISY = 0.05
"""Labels that err by more than this cannot tell which network keeps a budget."""

if TYPE_CHECKING:
    from nas.latency import LatencyPredictor
    from nas.latency.checks import PredictorCheck
    from nas.latency.validation import HeldOutErrors, Validation


def fit(
    table: Annotated[Path, typer.Argument(help="A table of `nas latency measure`.")],
    output: Annotated[
        Path | None, typer.Option("--out", help="The predictor's file; beside the table by default.")
    ] = None,
    skeleton: Annotated[str | None, typer.Option(help="Which networks, where the table has several.")] = None,
    precision: Annotated[str, typer.Option(help="Which networks: fp32 or int8.")] = "fp32",
    other: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A predictor of another device, thread count, precision or onnxruntime: a few networks "
            "correct it.",
        ),
    ] = None,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Leave the boosted residual out: NNLS alone, a smaller file.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw predicted against measured into this file.")] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit a predictor on a table, and print its error on held-out networks beside that of other ways."""
    from nas.latency import LatencyPredictor
    from nas.latency.boosting import can_boost
    from nas.latency.checks import check_predictor
    from nas.latency.kernel_model import LEAST_MATCHED
    from nas.timing import LatencyTable

    boosts = can_boost()
    if not boosts and not roofline:
        remark("scikit-learn is not installed: the roofline alone is fitted (pip install scikit-learn).")
    timings = LatencyTable.read(table)
    path = output or table.with_name("predictor.json")
    require_replaceable(path, PREDICTOR, inputs=(table, other))
    if plot is not None:
        require_replaceable(plot, PICTURE, inputs=(table, other))
    predictor = LatencyPredictor.fit(
        timings,
        skeleton=skeleton,
        precision=precision,
        other=LatencyPredictor.load(other, allow_other_device=True) if other else None,
        boosted=boosts and not roofline,
        baselines=boosts,
        seed=seed,
    )
    predictor.save(path)
    validation, checks = predictor.validation, check_predictor(predictor, timings)
    if plot is not None:
        _draw(predictor, checks, plot)
    if as_json:
        found = [{**vars(checked), "error": checked.error} for checked in checks]
        print_json({"predictor": str(path), **validation.to_json(), "checks": found})
        return
    say(f"{validation.networks} networks on {predictor.device}")
    if predictor.corrects is not None:
        say(f"They correct a predictor of {predictor.corrects}")
    if validation.loaded:
        say(
            f"{validation.loaded} of them were timed while other processes used the processor: the 90 % "
            f"intervals are wider by {predictor.uncertainty.loaded:.1%} for it."
        )
    if validation.matched < LEAST_MATCHED:
        say(
            f"Of a network only {validation.matched:.0%} of the time could be assigned to operators (another "
            "onnxruntime than this version knows?): whole networks were fitted instead."
        )
    _print_validation(validation)
    if checks:
        _print_checks(checks)
    say(f"\nThe predictor is in {path}.")


def _print_validation(validation: "Validation") -> None:
    from nas.latency.validation import FOLDS

    rows: list[tuple[Any, ...]] = [("predictor", *_row(validation.held_out))]
    rows += [(name, *_row(errors)) for name, errors in validation.baselines.items()]
    print_table(
        f"Error on held-out networks ({min(FOLDS, validation.networks)} folds)",
        ("", "mean", "largest", "within 5 %", "within 10 %", "Spearman"),
        rows,
    )
    if validation.noise_floor is not None:
        say(
            f"Noise floor: {validation.noise_floor:.1%}, by which the labels themselves err (half of the "
            "visits against the other half)."
        )
        if validation.noise_floor > NOISY:
            remark(
                "That is much: others use this machine, be it out of sight, or its clock varies. Measure "
                "at a quieter time, or with more visits (`nas latency measure --visits 15 --table OTHER`); "
                "`nas search --no-measure` does not rely on timings of finalists."
            )


def _print_checks(checks: "list[PredictorCheck]") -> None:
    print_table(
        "Networks that were timed along and not fitted to",
        ("network", "measured ms", "predicted ms", "error", "90 % interval", ""),
        (
            (
                checked.name,
                checked.measured_ms,
                checked.predicted_ms,
                f"{checked.error:+.1%}",
                f"{checked.low_ms:.3g} to {checked.high_ms:.3g}",
                "timed under load" if checked.loaded else "",
            )
            for checked in checks
        ),
    )


def _row(errors: "HeldOutErrors") -> tuple[Any, ...]:
    shares = (errors.mape, errors.maximum, errors.within_5, errors.within_10)
    return (*(f"{share:.1%}" for share in shares), errors.spearman)


def _draw(predictor: "LatencyPredictor", checks: "list[PredictorCheck]", path: Path) -> None:
    from nas.report.latency_plot import plot_predicted

    validation = predictor.validation
    spaces = ", ".join(str(space["name"]) for space in predictor.spaces)
    plot_predicted(
        path,
        predicted=[*validation.predicted, *(checked.predicted_ms for checked in checks)],
        measured=[*validation.measured, *(checked.measured_ms for checked in checks)],
        groups=["held out of its fold"] * validation.networks + ["timed along"] * len(checks),
        title=f"{spaces}, {predictor.skeleton.name}: networks that the fit has not seen",
    )
