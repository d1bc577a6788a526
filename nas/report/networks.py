"""The part of a run's report that shows what the chosen networks are, beside the largest of their space."""

from collections.abc import Iterator, Sequence
from typing import Any

from nas.errors import UserError
from nas.graph import complexity
from nas.report.drawing import draw_network
from nas.report.html import cards, cell, paragraph
from nas.report.run_files import Figures, SubnetTraining, finetuned, run_of
from nas.report.sections import NO_SEARCH, MissingPartError
from nas.runs.folder import RunFolder
from nas.space import Arch, ArchManager, Skeleton

_NOTE = (
    "A row for each part: its map's height x width and channels (the bar; pale, the largest's), and a square "
    "for each block: the number is its kernel, the darker the larger, the height its expansion. Dashed: what "
    "the largest network of the same head has more."
)


def networks_section(run: RunFolder, results: Figures | None, trainings: Sequence[SubnetTraining]) -> str:
    """A card for each chosen network, and for the largest one of each head among them."""
    if results is None:
        raise MissingPartError(NO_SEARCH)
    archs = {entry["name"]: arch_of(run, results, entry) for entry in results["subnets"]}
    if not any(archs.values()):
        raise MissingPartError("architectures of the subnets (subnets/*.json); nas search writes them.")
    metric = str(results["metric"])
    try:
        skeleton = Skeleton.load(run.config().skeleton)
        largest = {
            arch: _largest(run_of(run, entry), arch)
            for entry in results["subnets"]
            if (arch := archs[entry["name"]]) is not None
        }
    except UserError as error:
        raise MissingPartError(f"the search space ({error})") from error
    shown = [
        _card(
            arch,
            largest[arch],
            skeleton,
            entry["name"],
            list(_told(entry, metric, finetuned(trainings, entry["arch"]))),
        )
        for entry in results["subnets"]
        if (arch := archs[entry["name"]]) is not None
    ]
    shown += [
        _card(arch, arch, skeleton, f"The largest with head {arch.head.type}", [])
        for arch in dict.fromkeys(largest.values())
    ]
    return cards(shown) + paragraph(_NOTE, note=True)


def arch_of(run: RunFolder, results: Figures, entry: Figures) -> Arch | None:
    """What a subnet of the results is, by its file or by the front; None where both are gone."""
    found = None
    try:
        found = Arch.load(run.subnets_folder / f"{entry['name']}.json")
    except UserError:
        for other in results["front"]:
            if other["arch"] == entry["arch"] and "json" in other:
                found = Arch.from_json(other["json"])
    return found if found is not None and found.id == entry["arch"] else None


def _largest(run: RunFolder, arch: Arch) -> Arch:
    """In the space of a run, of the same head; of the whole space where that has no such head."""
    manager = ArchManager(run.config().load_space())
    return manager.largest(head=arch.head.type if arch.head.type in manager.space.heads else None)


def _card(
    arch: Arch, largest: Arch, skeleton: Skeleton, title: str, figures: Sequence[tuple[str, str]]
) -> tuple[Any, ...]:
    """Title, figures, lines and drawing of one network."""
    size = complexity(arch, skeleton)
    height, width = arch.resolution
    lines = (
        f"Input {height} x {width} (height x width)",
        f"{size.params / 1e6:.3g} M parameters, {size.macs / 1e6:,.4g} M MACs",
        f"Architecture {arch.id}",
    )
    return title, figures, lines, draw_network(arch, largest)


def _told(entry: Figures, metric: str, trained: Sequence[SubnetTraining]) -> Iterator[tuple[str, str]]:
    """What matters most of a network."""
    measured = entry.get("measured_ms")
    ms = entry["predicted_ms"] if measured is None else measured
    yield cell(float(ms)), "ms predicted" if measured is None else "ms"
    if trained:
        yield cell(trained[-1].ap), "AP fine-tuned"
    elif (accuracy := entry.get("inherited", {}).get(metric)) is not None:
        yield cell(float(accuracy)), f"{metric} inherited"
