"""What a way came to, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.evaluate import Result
from nas.evaluate.mean import mean_figures
from nas.runs.environment import environment
from nas.workflow.people import DrawnCount
from nas.workflow.search_step import Winner


@dataclass(frozen=True)
class FinishedSubnet:
    """A searched, fine-tuned, exported and validated subnet.

    Args:
        winner: as the search found it.
        results: what its ONNX file scores on each validation set.
        drawn: how many of the people there it lets `nas predict` draw; None of a network for whole images.
    """

    winner: Winner
    results: Sequence[Result]
    drawn: DrawnCount | None

    @property
    def scores(self) -> Mapping[str, float]:
        """Over all validation sets."""
        return mean_figures(self.results)

    def figures(self) -> dict[str, Any]:
        """Plain data: times in ms, accuracies as the search and the validation found them."""
        found, scores = self.winner.figures, self.scores
        names = ("name", "arch", "budget_ms", "predicted_ms", "measured_ms", "loaded", "inherited_ap")
        return {
            **{name: found[name] for name in names},
            "finetuned_ap": scores["AP"],
            "finetuned_ap50": scores["AP50"],
            "finetuned_pck": scores.get("PCK_torso@0.2"),
            "matched_people": None if self.drawn is None else self.drawn.matched,
            "drawn_people": None if self.drawn is None else self.drawn.drawn,
            "onnx": str(self.winner.onnx.absolute()),
        }


def summarise(
    found: Mapping[str, Any],
    subnets: Sequence[FinishedSubnet],
    baselines: Sequence[Result],
    *,
    boxes: str,
    threads: int,
) -> dict[str, Any]:
    """The content of `summary.json`.

    `inherited_ap` is of the search split (training pictures kept apart), `finetuned_ap` of the validation
    people; `baseline_*` is of the average pose on the validation people; `matched_people` and `drawn_people`
    are `DrawnCount`'s.

    Args:
        found: the search's results, as they are written.
        subnets: what became of them.
        baselines: the average pose on each validation set.
        boxes: whose boxes networks are shown.
        threads: of this machine that validation took.
    """
    average = mean_figures(baselines)
    return {
        "subnets": [subnet.figures() for subnet in subnets],
        "unmet_budgets_ms": list(found["unmet_budgets_ms"]),
        "baseline_ap": average["AP"],
        "baseline_ap50": average["AP50"],
        "validation": {
            "images": sum(result.images for result in baselines),
            "people": sum(result.people for result in baselines),
            "flip": False,
            "boxes": boxes,
        },
        "networks_scored": found["scored"],
        "training_threads": threads,
        "device": found["device"],
        "environment": environment(),
    }
