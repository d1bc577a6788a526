"""Writing whole or not at all; rows of JSON; names of files."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import UserError
from nas.files import (
    append_row,
    is_file,
    is_folder,
    name_fault,
    new_folder,
    one_component,
    read_rows,
    replacing,
    sweep,
    write_bytes,
    write_json,
    write_text,
)
from nas.locks import sole_process


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


WRITERS: list[Callable[[Path], None]] = [
    lambda path: write_bytes(path, b"latter"),
    lambda path: write_text(path, "latter"),
    lambda path: write_json(path, ["latter"]),
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("call", ["write_bytes", "replace", "fsync"])
def test_what_does_not_fit_leaves_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], call: str
) -> None:
    path = tmp_path / "a.json"
    write_text(path, "former")
    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, full)
        with pytest.raises(UserError, match=r"a\.json: the disk is full"):
            write(path)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a.json", "former")]
    write(path)
    assert "latter" in path.read_text()


def test_what_fails_on_the_way_leaves_the_former_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "former")

    def fail() -> None:
        with replacing(path) as draft:
            draft.write_text("half")
            raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        fail()
    assert [(found.name, found.read_text()) for found in path.parent.iterdir()] == [("a.txt", "former")]


WRITING = """
import pathlib, sys, time
from nas.files import new_folder, replacing
home = pathlib.Path(sys.argv[1])
with replacing(home / "[a] b.txt") as draft, new_folder(home / "c") as folder:
    draft.write_text("half")
    (folder / "part").write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_was_writing_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    folder = tmp_path / "some [folder]"
    with (
        replacing(folder / "mine.txt") as draft,
        subprocess.Popen([sys.executable, "-c", WRITING, str(folder)], stdout=subprocess.PIPE) as process,
    ):
        draft.write_text("mine")
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        sweep(folder)
        assert len(list(folder.iterdir())) == 3
        process.kill()
        process.wait()
        with sole_process(folder):
            assert sorted(folder.iterdir()) == sorted([draft, folder / ".lock"])
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    write_text(tmp_path / "there" / "a.txt", "former")
    (tmp_path / "a.txt").symlink_to(tmp_path / "there" / "a.txt")
    write_text(tmp_path / "a.txt", "latter")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "there" / "a.txt").read_text() == "latter"


@pytest.mark.parametrize("write", WRITERS)
def test_a_folder_in_the_way_and_a_file_as_a_folder_are_one_line(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "folder", tmp_path / "file" / "a.json"):
        with pytest.raises(UserError, match="cannot be written"):
            write(path)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def make(fails: bool) -> None:
        with new_folder(tmp_path / "pack") as draft:
            (draft / "inner").mkdir()
            (draft / "inner" / "a").write_text("a")
            if fails:
                full()

    with pytest.raises(UserError, match="pack: the disk is full"):
        make(fails=True)
    assert list(tmp_path.iterdir()) == []
    make(fails=False)
    assert (tmp_path / "pack" / "inner" / "a").read_text() == "a"
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


class ShortFile(io.FileIO):
    """A file on a disk with room for so many bytes more: the last write is cut, the next one fails."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path, "a+")
        self._room = room

    def write(self, content: Any) -> int:
        if not self._room:
            full()
        taken = super().write(content[: self._room])
        self._room -= taken
        return taken


@pytest.mark.parametrize("room", [0, 5])
def test_no_part_of_a_row_stays_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "rows.jsonl"
    append_row(path, {"step": 1})
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, *_, **__: ShortFile(self, room))
        with pytest.raises(UserError, match=r"rows\.jsonl: the disk is full"):
            append_row(path, {"step": 2, "loss": 0.5})
    assert path.read_bytes() == before
    append_row(path, {"step": 2})
    assert [row for _, row in read_rows(path)] == [{"step": 1}, {"step": 2}]


@given(
    whole=st.lists(st.dictionaries(st.text(max_size=4), st.integers()), max_size=4),
    torn=st.binary(max_size=5000).filter(lambda content: b"\n" not in content),
)
def test_a_torn_last_row_is_passed_over_and_cut_off(
    tmp_path_factory: pytest.TempPathFactory, whole: list[dict[str, int]], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes("".join(json.dumps(row) + "\n" for row in whole).encode() + torn)
    assert [row for _, row in read_rows(path)] == whole
    append_row(path, {"last": 1})
    assert [row for _, row in read_rows(path)] == [*whole, {"last": 1}]


@pytest.mark.parametrize("line", ["no json", "[1]", '{"a": NaN}', '{"a": 1e999}', "[" * 100_000])
def test_a_broken_row_in_the_middle_is_named_or_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n{{"a": 2}}\n')
    with pytest.raises(UserError, match=r"rows\.jsonl, line 2"):
        list(read_rows(path))
    assert [number for number, _ in read_rows(path, strict=False)] == [1, 3]


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "../run", "a/b", "/run", "a\\b", "a\nb", "a\x1b[2J", "a\0b", "x" * 300]
)
def test_a_name_that_is_no_single_component_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"--name: .*cannot name a file"):
        one_component(name, "--name")


@pytest.mark.parametrize("name", ["run", "a b", "[v2]", "a?1", "a%20b", "été", ".hidden", "run 1.0"])
def test_other_names_are_taken_as_they_are(name: str) -> None:
    assert one_component(name, "--name") == name
    assert name_fault(name) is None


def test_a_name_that_is_too_long_is_no_file(tmp_path: Path) -> None:
    for name in ("x" * 300, "x/" * 3000):
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
    (tmp_path / "file").touch()
    assert is_file(tmp_path / "file")
    assert not is_folder(tmp_path / "file")
    assert is_folder(tmp_path)
