"""`nas demo`: the whole pipeline on generated people."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli.console import err, print_json, print_table, remark, say
from nas.cli.displays import progress_lines, search_display


def demo(
    run: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="All stages, each too short to learn much; two minutes.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; by default all cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Generate people, train a supernet, measure, search two budgets, fine-tune, export, validate."""
    from nas.cli.latency_display import VisitDisplay
    from nas.demo.pipeline import DemoDisplays, run_demo
    from nas.demo.scale import DemoScale
    from nas.search.run import Displays

    scale = DemoScale.quick() if quick else DemoScale()
    search = Displays(search_display, VisitDisplay)
    displays = DemoDisplays(lambda name: progress_lines(f"{name} pictures"), search)
    summary = run_demo(run, scale, console=err, displays=displays, threads=threads)
    if as_json:
        print_json(summary)
        return
    _print_summary(run, summary)


def _print_summary(run: Path, summary: dict[str, Any]) -> None:
    say()
    columns = (
        "name",
        "budget_ms",
        "predicted_ms",
        "measured_ms",
        "inherited_ap",
        "finetuned_ap",
        "finetuned_ap50",
    )
    titles = ("subnet", "budget ms", "predicted ms", "measured ms", "AP inherited", "AP fine-tuned", "AP50")
    rows = [tuple(subnet[column] for column in columns) for subnet in summary["subnets"]]
    average = ("average pose", None, None, None, None, summary["baseline_ap"], summary["baseline_ap50"])
    print_table("The most accurate networks within their budgets, on this machine", titles, [*rows, average])
    people = summary["validation"]["people"]
    say("\nAP inherited: before fine-tuning, on training pictures kept apart for the search.")
    say(
        "AP fine-tuned, AP50: of the exported ONNX files on "
        f"{people:,} validation people in their true boxes, no flip test."
    )
    for budget in summary["unmet_budgets_ms"]:
        remark(f"{budget:g} ms: no network was measured within it; run on a quieter machine.")
    if any(subnet["loaded"] for subnet in summary["subnets"]):
        say("Other processes used the processor while networks were timed: times may be too long.")
    say(f"\nNetworks: {run / 'subnets'}/*.onnx   all figures: {run / 'summary.json'}")
    if summary["subnets"]:
        best = max(summary["subnets"], key=lambda subnet: subnet["finetuned_ap"])
        say(
            f"Of {best['matched_people']:,} people whose pose by {best['name']} matches the truth (OKS 0.5), "
            f"`nas predict` draws {best['drawn_people']:,}. Some people, drawn so:"
        )
        say(str(run / "validation_people.png"))
