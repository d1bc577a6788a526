"""The part of a run's report on what was found for each budget."""

from collections.abc import Sequence

from nas.report.html import cell, missing, paragraph, table
from nas.report.run_files import Figures, SubnetTraining, finetuned
from nas.report.sections import NO_SEARCH, MissingPartError, compared
from nas.search.results import NOTHING_LEARNED


def subnets(results: Figures | None, trainings: Sequence[SubnetTraining]) -> str:
    """What was found for each budget."""
    if results is None:
        raise MissingPartError(NO_SEARCH)
    metric = str(results["metric"])
    columns = (
        "subnet", "budget ms", "predicted ms", "90 % interval", "measured ms", "error", "inside",
        f"{metric} inherited", "AP fine-tuned", "",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = [
        (
            entry["name"],
            f"{entry['budget_ms']:g}",
            *compared(entry),
            _inherited(entry, metric),
            _finetuned(trainings, str(entry["arch"])),
            _worth(entry),
        )
        for entry in results["subnets"]
    ]
    content = table(columns, rows) + _parts_of_time(results["subnets"])
    unmet = ", ".join(f"{budget:g} ms" for budget in results["unmet_budgets_ms"])
    if unmet:
        content += paragraph(f"No network was measured within {unmet}.")
    content += _average_pose(results, metric) + paragraph(
        "Error: predicted over measured, less one. Inside: whether the measured time lies in the predicted "
        "interval. Inherited: with the supernet's weights, on training images kept apart for the search, and "
        "where 95 % of all draws of other people would put it. "
        "Fine-tuned: of the run's summary, else as last scored during fine-tuning, whatever that was called.",
        note=True,
    )
    if not any(finetuned(trainings, str(entry["arch"])) for entry in results["subnets"]):
        content += missing("accuracy after fine-tuning; nas finetune writes it where its recipe validates.")
    return content + _other_trainings(results, trainings)


def _inherited(entry: Figures, metric: str) -> object:
    """The figure that was searched for; results of older versions kept the AP alone, without an interval."""
    figure = entry.get("inherited", {}).get(metric, entry.get("inherited_ap") if metric == "AP" else None)
    low, high = entry.get("accuracy_low"), entry.get("accuracy_high")
    if figure is None or low is None or high is None:
        return figure
    return f"{cell(float(figure))} ({cell(float(low))} - {cell(float(high))})"


def _finetuned(trainings: Sequence[SubnetTraining], arch: str) -> str | None:
    """The AP of an architecture's fine-tuning; of several, each with its name."""
    found = finetuned(trainings, arch)
    if len(found) < 2:
        return cell(found[0].ap) if found else None
    return ", ".join(f"{cell(training.ap)} ({training.name})" for training in found)


def _worth(entry: Figures) -> str:
    remarks = [f"of {entry['run']}"] if entry.get("run", ".") != "." else []
    remarks += ["timed under load"] if entry.get("loaded") else []
    if tied := entry.get("tied_with"):
        remarks.append(f"{', '.join(tied)} is as accurate as far as can be told")
    if trained := entry.get("trained"):
        scores = ", ".join(f"{each['head']} {cell(float(each['accuracy']))}" for each in trained)
        remarks.append(f"chosen when the best of each head had been trained on for a while: {scores}")
    remarks += ["no better than the average pose"] if entry.get("better_than_average_pose") is False else []
    return ", ".join(remarks)


def _average_pose(results: Figures, metric: str) -> str:
    """What no network at all would score."""
    average = results.get("average_pose_accuracy")
    if average is None:
        return ""
    text = (
        f"The average pose in everyone's true box scores {metric} {cell(float(average))} on the same images."
    )
    if results.get("better_than_average_pose") is False:
        text = f"{text} {NOTHING_LEARNED}"
    return paragraph(text)


def _other_trainings(results: Figures, trainings: Sequence[SubnetTraining]) -> str:
    """What was trained besides: from scratch, or other architectures."""
    searched_for = {str(entry["arch"]) for entry in results["subnets"]}
    others = [t for t in trainings if t.scratch or t.arch not in searched_for]
    if not others:
        return ""
    rows = [
        (
            t.name,
            t.arch,
            t.ap,
            "from scratch" if t.scratch else "" if t.arch else "its finetune.json does not tell",
        )
        for t in others
    ]
    return table(("also trained", "architecture", "AP", ""), rows)


def _parts_of_time(entries: Sequence[Figures]) -> str:
    """What end-to-end times consist of."""
    known = [entry for entry in entries if entry.get("network_ms") is not None]
    if not known:
        return ""
    columns = ("measured", "network ms", "grouping ms", "people", "detector ms", "total ms")
    names = ("name", "network_ms", "grouping_ms", "people", "detector_ms", "measured_ms")
    return table(columns, ([entry[name] for name in names] for entry in known))
