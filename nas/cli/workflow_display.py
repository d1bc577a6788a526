"""What `nas run` and `nas demo` show: how far their steps are, and what came out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cli.console import print_table, remark, say
from nas.cli.displays import progress_lines, search_display

if TYPE_CHECKING:
    from nas.workflow.way import WorkflowDisplays

_COLUMNS = {
    "name": "subnet",
    "budget_ms": "budget ms",
    "predicted_ms": "predicted ms",
    "measured_ms": "measured ms",
    "inherited_ap": "AP inherited",
    "finetuned_ap": "AP fine-tuned",
    "finetuned_ap50": "AP50",
}


def workflow_displays() -> "WorkflowDisplays":
    """All progress on stderr, in the one style that all commands have."""
    from nas.cli.latency_display import VisitDisplay
    from nas.search.settings import Displays
    from nas.workflow.way import WorkflowDisplays

    return WorkflowDisplays(progress_lines, Displays(search_display, VisitDisplay))


def print_summary(run: Path, summary: Mapping[str, Any]) -> None:
    """The networks and their figures, what these mean, and where everything is."""
    say()
    subnets = summary["subnets"]
    rows = [tuple(subnet[column] for column in _COLUMNS) for subnet in subnets]
    average = ("average pose", None, None, None, None, summary["baseline_ap"], summary["baseline_ap50"])
    print_table(
        "The most accurate networks within their budgets, on this machine",
        tuple(_COLUMNS.values()),
        [*rows, average],
    )
    validation = summary["validation"]
    crops = " in their true boxes" if validation["boxes"] == "true ones" else ""
    say("\nAP inherited: before fine-tuning, on training pictures kept apart for the search.")
    say(
        "AP fine-tuned, AP50: of the exported ONNX files on "
        f"{validation['people']:,} validation people{crops}, no flip test."
    )
    for budget in summary["unmet_budgets_ms"]:
        remark(f"{budget:g} ms: no network was measured within it; run on a quieter machine.")
    if any(subnet["loaded"] for subnet in subnets):
        say("Other processes used the processor while networks were timed: times may be too long.")
    say(f"\nNetworks: {run / 'subnets'}/*.onnx   all figures: {run / 'summary.json'}")
    if subnets:
        _print_drawn(run, max(subnets, key=lambda subnet: subnet["finetuned_ap"]))
    say(f"The report: {run / 'report' / 'index.html'}")


def _print_drawn(run: Path, best: Mapping[str, Any]) -> None:
    """Of a network on crops: how many of those whom it finds are drawn."""
    if best["matched_people"] is None:
        return
    say(
        f"Of {best['matched_people']:,} people whose pose by {best['name']} matches the truth (OKS 0.5), "
        f"`nas predict` draws {best['drawn_people']:,}. Some people, drawn so:"
    )
    say(str(run / "validation_people.png"))
