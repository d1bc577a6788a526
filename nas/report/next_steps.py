"""The part of a run's report on what to do next: commands, as far as their inputs are there."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from nas.report.html import commands, paragraph
from nas.report.run_files import Figures, run_of
from nas.report.sections import NO_SEARCH, MissingPartError
from nas.runs.folder import RunFolder


def next_steps_section(run: RunFolder, results: Figures | None) -> str:
    """For each subnet the command that goes on from where it is."""
    if results is None:
        raise MissingPartError(NO_SEARCH)
    lines = [line for entry in results["subnets"] for line in _of_subnet(run, entry)]
    if not lines:
        raise MissingPartError("subnets to go on with; nas search with other budgets.")
    if not run.diagnosis_file.is_file():
        lines += [
            "# how far the ranking of the search can be trusted, in hours",
            _line("nas", "diagnose", run.path),
        ]
    lines += ["# this page, of all that is there by then", _line("nas", "report", run.path)]
    note = "PICTURES is a picture, a folder, a video, or the number of a camera."
    return commands(lines) + paragraph(note, note=True)


def _of_subnet(run: RunFolder, entry: Figures) -> Iterator[str]:
    """From architecture to weights to a file that runs anywhere."""
    name, own = str(entry["name"]), run_of(run, entry)
    arch = run.subnets_folder / f"{name}.json"
    weights, onnx = (own.subnets_folder / f"{name}{suffix}" for suffix in (".safetensors", ".onnx"))
    yield f"# {name}"
    if onnx.is_file():
        yield _line("nas", "predict", onnx) + " PICTURES"
        yield _line("nas", "latency", "time", onnx)
    elif weights.is_file():
        yield _line("nas", "export", weights)
    else:
        yield _line("nas", "finetune", own.path, arch)


def _line(*words: str | Path) -> str:
    return shlex.join(map(str, words))
