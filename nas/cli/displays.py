"""How far long work is, on stderr: the package's display with the words of each kind of work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nas.cli.console import err, remark
from nas.progress import ProgressDisplay

if TYPE_CHECKING:
    from nas.search.loop import SearchProgress, ShowProgress


def progress_lines(title: str) -> Callable[[int, int | None], None]:
    """Takes how many of how many are done, None where nobody knows; says it now and then."""
    return ProgressDisplay(title, say=remark, every=5.0, last=False).update


@contextmanager
def search_display() -> "Iterator[ShowProgress]":
    """Within, takes how far a search is."""
    with ProgressDisplay("search", say=remark, console=err, every=15.0) as display:

        def report(progress: "SearchProgress") -> None:
            if progress.latest is None:
                display.begin(progress.done, progress.total)
            best = "  ".join(
                f"{budget:.4g} ms: {accuracy:.3f}"
                for budget, accuracy in progress.best.items()
                if accuracy is not None
            )
            display.update(progress.done, progress.total, note=f"best {best}" if best else "")

        yield report
