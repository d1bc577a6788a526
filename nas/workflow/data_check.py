"""The step that looks at the data: what would end the way hours later ends it now."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nas.coco import read_coco
from nas.data import Annotations, SourceConfig, draw_search_split
from nas.data.check import check_splits
from nas.data.check_html import check_page
from nas.data.check_layout import SplitFile
from nas.data.check_report import CheckReport
from nas.data.shards import shards_of
from nas.documents import read_json
from nas.errors import UserError
from nas.evaluate import require_metric
from nas.files import is_folder, write_json, write_text
from nas.workflow.steps import WorkflowStep, digest_of
from nas.workflow.way import Way

_SPOILS = ("refused", "categories")
"""Kinds of findings with which nothing can be trained, whatever else is sound."""


@dataclass(frozen=True)
class _Listed:
    """One set of the recipe: its annotation file, and where its images are."""

    source: SourceConfig
    file: Path
    folder: Path

    @property
    def holds_files(self) -> bool:
        """Whether images lie there as files; those in shards were checked before they were packed."""
        return is_folder(self.folder) and not shards_of(self.folder)


def data_check_step(way: Way) -> WorkflowStep:
    """Every entry and every picture of the sets is looked at, as `nas data check` does."""
    page, figures = _page(way), _figures(way)
    return WorkflowStep(
        "check",
        "Check the data",
        ("Every entry is read and every picture decoded; sets are compared with each other.",),
        inputs=partial(_inputs, way),
        made=lambda: [page, figures],
        work=partial(_check, way),
        found=partial(_found, way),
    )


def require_possible(way: Way) -> None:
    """Raise UserError where the recipe cannot lead to validated networks: nothing is done for it then."""
    if not way.validated and not way.config.data.validates:
        way.load_validated()  # says what to do
    require_metric(way.config.workflow.metric, way.skeleton)


def _page(way: Way) -> Path:
    return way.run.workflow_folder / "data.html"


def _figures(way: Way) -> Path:
    return way.run.workflow_folder / "data.json"


def _inputs(way: Way) -> dict[str, Any]:
    data = way.config.data
    return {
        "sets": [
            {
                **listed.source.model_dump(mode="json"),
                "digest": digest_of(listed.file),
                "images": _stamps(listed),
            }
            for listed in _sets(way)
        ],
        "joints": list(way.skeleton.keypoints),
        "orientation": data.orientation,
        "holdout": data.holdout,
        "bad_share": data.bad_share,
    }


def _stamps(listed: _Listed) -> str | None:
    """Changes with the size or time of any image that the file lists; None where they are not looked at."""
    if not listed.holds_files:
        return None
    digest = hashlib.sha256()
    for image in read_coco(listed.file, lists=("images",))["images"]:
        name = image.get("file_name") if isinstance(image, dict) else None
        if isinstance(name, str):
            digest.update(f"{name} {_stamp(listed.folder / name)}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return "none"
    return f"{found.st_size} {found.st_mtime_ns}"


def _sets(way: Way) -> list[_Listed]:
    """The recipe's sets, those that it names twice once."""
    data = way.config.data
    listed = [
        _Listed(source, way.config.data.folder / source.annotations, way.config.data.folder / source.images)
        for source in (*data.train, *data.val, *way.config.workflow.test)
    ]
    return list({(one.file, one.folder, one.source.category): one for one in listed}.values())


def _check(way: Way) -> None:
    data = way.config.data
    training, validation = data.load_train(way.skeleton), way.load_validated()
    splits = [
        SplitFile(
            listed.file,
            listed.folder if listed.holds_files else None,
            read_coco(listed.file),
            listed.source.category,
        )
        for listed in _sets(way)
    ]
    report = check_splits(
        splits,
        skeleton=way.skeleton,
        orientation=data.orientation,
        progress=way.displays.counting("pictures decoded"),
    )
    write_text(_page(way), check_page(f"The data of {way.config.name}", report))
    write_json(_figures(way), {"verdict": report.verdict, **report.to_json()})
    _require_usable(way, report, training=training, validation=validation)


def _require_usable(
    way: Way, report: CheckReport, *, training: Sequence[Annotations], validation: Sequence[Annotations]
) -> None:
    """Raise UserError for what ends training, search or validation."""
    seen = f"see {_page(way)}"
    for finding in report.findings:
        if finding.kind.name in _SPOILS:
            first = finding.examples[0]
            raise UserError(f"{first.file}: {first.what}; {seen}")
    unread = {split.folder / name for split in report.splits if split.folder for name in split.unread}
    kept = draw_search_split(training).search(training)
    for use, sets in (("search", kept), ("validation", validation)):
        broken = sorted(unread.intersection(_files(sets)))
        if broken:
            raise UserError(
                f"{broken[0]}: missing, or no picture of the stated size, and needed for {use} "
                f"({len(broken)} such pictures); put it back, or take it out of the annotation file; {seen}"
            )
    files = set(_files(training))
    share = len(unread & files) / max(len(files), 1)
    if share > way.config.data.bad_share:
        raise UserError(
            f"{training[0].path}: {share:.0%} of the training pictures are missing or broken, more than "
            f"data.bad_share ({way.config.data.bad_share:.0%}); {seen}"
        )


def _files(sets: Sequence[Annotations]) -> Iterator[Path]:
    for part in sets:
        if part.folder is not None:
            yield from (part.folder / image.file for image in part.images)


def _found(way: Way) -> list[str]:
    report: Mapping[str, Any] = read_json(_figures(way))
    lines = [f"{report['verdict']} {_page(way)}"]
    return lines + [
        f"- {finding['title']}: {finding['count']:,}. {finding['advice']}"
        for finding in report["findings"]
        if finding["severity"] == "problem"
    ]
