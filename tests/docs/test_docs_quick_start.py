"""The quick start, done as it is written, with fewer people and steps."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages_of_docs import ROOT, blocks_of, commands

PAGE = ROOT / "docs" / "quick-start.md"
BRIEF = {
    "train": [
        "steps=20", "batch=16", "calibration.images=32", "checkpoint.every=20", "schedule.warmup=5",
        "distillation.ramp=10", "sampling.pool=100", "finetune.steps=10", "finetune.batch=16",
        "finetune.schedule.warmup=2", "data.workers=0", "threads=1",
    ],
}  # fmt: skip
LESS = {"--samples": "8", "--visits": "1", "--trials": "4"}
SLOWER = 50  # times the budgets: whatever the machine, and whatever runs beside


def nas(words: tuple[str, ...], folder: Path) -> str:
    brief = [word for value in BRIEF.get(words[0], ()) for word in ("--set", value)]
    command = [sys.executable, "-m", "nas", *words, *brief]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout + done.stderr


def shorter(words: tuple[str, ...], name: str) -> Iterator[str]:
    """The command with less to do, and the network's name in place of NAME."""
    for option, word in zip(("", *words), words, strict=False):
        if option == "--budget-ms":
            yield f"{SLOWER * float(word):g}"
        else:
            yield LESS.get(option, word).replace("NAME", name)


@pytest.mark.slow
def test_the_quick_start_works_as_it_is_written(tmp_path: Path) -> None:
    blocks = blocks_of(PAGE)
    (people,) = (block for block in blocks if block.title == "people.py")
    fewer = re.sub(r"images=\d+", "images=40", people.text)
    (tmp_path / people.title).write_text(fewer, encoding="utf-8")
    subprocess.run([sys.executable, people.title], cwd=tmp_path, check=True)

    shell = [block for block in blocks if not block.language]
    lines = [command.words for command in commands(shell) if command.words[0] not in ("init", "run")]
    assert [words[0] for words in lines if words[0] not in ("data", "space", "latency")] == [
        "train", "search", "finetune", "validate", "export", "predict", "report",
    ]  # fmt: skip
    for words in lines:
        name = next((path.stem for path in tmp_path.glob("runs/first/subnets/*.json")), "")
        assert name or not any("NAME" in word for word in words), "the search found nothing"
        nas(tuple(shorter(words, name)), tmp_path)

    assert len(list((tmp_path / "drawings").rglob("*.png"))) == 40
    report = (tmp_path / "runs" / "first" / "report" / "index.html").read_text(encoding="utf-8")
    assert name in report
