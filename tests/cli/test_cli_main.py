"""How the command line answers: one line for a user's mistake, nothing heavy for help."""

import errno
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli.main import app, run
from nas.errors import UserError
from nas.interrupt import Interruption


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nas", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bogus"], "No such option: --bogus"),
        (["nonsense"], "No such command 'nonsense'"),
        (["search"], "nas search --help"),
        (["space"], "nas space --help"),
        (["space", "show", "nope"], "demo"),
        (["search", "no-such-run", "--budget-ms", "5"], "no-such-run"),
        (["diagnose", "no-such-run"], "no-such-run"),
        (["search", "no-such-run", "--budget-ms", "fast"], "--budget-ms"),
        (["validate", "none.onnx", "--data", "a.json", "--images", "b"], "none.onnx"),
        (["export", "none.safetensors"], "none.safetensors"),
        (["predict", "none.onnx", "a.jpg"], "none.onnx"),
        (["run", "none.yaml", "--budget-ms", "5"], "none.yaml"),
        (["run", "nope"], "demo"),
        (["init", "none.json"], "none.json"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("Error: ")
    assert said in line


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "option",
    [
        ("search run", "--budget-ms"),
        ("run recipe.yaml", "--budget-ms"),
        ("search run --budget-ms 5", "--max-p95-ms"),
        ("search run --budget-ms 5", "--max-memory-mb"),
        ("search run --budget-ms 5", "--max-file-mb"),
        ("search run --budget-ms 5", "--detector-ms"),
        ("diagnose run", "--max-ms"),
        ("diagnose run", "--bin-width"),
        ("latency predict p.json a.json", "--detector-ms"),
        ("predict m.onnx a.jpg", "--min-score"),
        ("predict m.onnx a.jpg", "--min-keypoint"),
    ],
)
def test_a_number_that_is_none_is_refused_before_anything_is_opened(
    option: tuple[str, str], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command_, name = option
    assert run([*command_.split(), f"{name}={number}"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert name in line


@pytest.mark.parametrize(
    "command_",
    [
        "space show demo", "search run --budget-ms 5", "diagnose run", "latency measure --space demo",
        "latency time a.json", "latency fit t.jsonl", "latency pack folder",
    ],
)  # fmt: skip
def test_a_seed_is_no_negative_number(command_: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command_.split(), "--seed=-1"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "--seed" in line


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> "dict[str, BaseException]":
    """`nas raise` raises what the test puts into the dictionary."""
    what: dict[str, BaseException] = {}

    def command_() -> None:
        raise what["error"]

    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
    app.command("raise")(command_)
    return what


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("file.yaml: wrong\nin two lines"), 2, "Error: file.yaml: wrong in two lines"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (Interruption(15), 143, "Interrupted"),
        (Interruption(1), 129, "Interrupted"),
        (
            ModuleNotFoundError("no torch", name="torch"),
            2,
            'in a clone of the project, pip install ".[train]"',
        ),
        (ModuleNotFoundError("no part", name="torch.nn"), 2, '-py3-none-any.whl[train]"'),
        (ModuleNotFoundError("no AP", name="faster_coco_eval"), 2, 'pip install ".[evaluate]"'),
    ],
)
def test_what_ends_a_command_is_told_in_one_line(
    raising: dict[str, BaseException],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    raising["error"] = error
    assert run(["raise"]) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/a.png"), "out/a.png: No space left on device"),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), "Permission denied"),
        (OSError("a library's own words"), "a library's own words"),
        (MemoryError(), "out of memory"),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    raising: dict[str, BaseException], capsys: pytest.CaptureFixture[str], error: BaseException, said: str
) -> None:
    raising["error"] = error
    assert run(["raise"]) == 2
    assert capsys.readouterr().err == f"Error: {said}\n"


SHOW = f"{shlex.quote(sys.executable)} -m nas arch show litepose-auto-xs"


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell is needed")
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (f"{SHOW} | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}", (0, 1), ""),
        (f"{SHOW} > /dev/full", (2,), "Error: "),
        (f"{SHOW} >&-", (0,), ""),
        (f"PYTHONIOENCODING=ascii {SHOW[: SHOW.index('arch')]} arch show $'\\u2603\\xff'", (2,), "Error: "),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (f"{SHOW} --json > /dev/full", (2,), "Error: "),
                (f"{SHOW} >&- 2>&-", (0,), ""),
                (f"{SHOW} <&- >&- 2>&-", (0,), ""),
                (f"{SHOW} --json >&-", (0,), ""),
                (f"{SHOW} nonsense 2> /dev/full", (2,), ""),
                (f"{SHOW} nonsense 2>&-", (2,), ""),
                (f"PYTHONIOENCODING=ascii {SHOW} --json", (0,), ""),
            )
        ),
    ],
)
def test_an_output_that_takes_nothing_is_no_traceback(line: str, code: tuple[int, ...], said: str) -> None:
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert said in done.stderr


@pytest.mark.parametrize("error", [ModuleNotFoundError("mine", name="nas.nonsense"), ValueError("a bug")])
def test_a_bug_is_not_dressed_up_as_a_users_mistake(
    raising: dict[str, BaseException], error: Exception
) -> None:
    raising["error"] = error
    with pytest.raises(type(error)):
        run(["raise"])


def test_ctrl_c_while_the_command_loads_is_no_traceback() -> None:
    code = """
import sys
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Pressed())
from nas.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from nas.cli.main import run; run(['--help']); run(['search', '--help']); "
        "heavy = {'torch', 'onnx', 'onnxruntime', 'optuna', 'cv2', 'scipy', 'numpy'}; "
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("HEAVY []")


def test_version_and_help_as_a_module() -> None:
    assert command("--version").stdout.startswith("pose-nas ")
    shown = command().stdout
    for name in [
        "arch",
        "demo",
        "export",
        "finetune",
        "latency",
        "predict",
        "search",
        "space",
        "train",
        "transfer",
        "validate",
    ]:
        assert name in shown


def test_space_show_as_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["space", "show", "demo", "--json", "--samples", "5"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["size"] > 1
    networks = shown["networks"]
    assert networks["smallest"]["macs"] < networks["median"]["macs"] < networks["largest"]["macs"]
    assert shown["dimensions"]["stages.2.depth"] == [1, 2, 3]


def test_space_show_prints_every_dimension(capsys: pytest.CaptureFixture[str]) -> None:
    from nas.space import SearchSpace

    assert run(["space", "show", "demo", "--samples", "5"]) == 0
    shown = capsys.readouterr().out
    assert all(dimension.name in shown for dimension in SearchSpace.load("demo").dimensions)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("litepose-auto-xs", 1_675_552, 882_892_800),
        ("litepose-auto-s", 2_731_240, 3_614_139_648),
        ("litepose-auto-m", 3_533_808, 5_263_675_648),
        ("litepose-auto-l", 5_738_120, 9_961_996_288),
    ],
)
def test_arch_show_counts_the_published_networks_exactly(
    name: str, params: int, macs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["arch", "show", name, "--skeleton", "crowdpose14", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["params"], shown["macs"]) == (params, macs)


def test_arch_show_reads_files_and_prints_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nas.space import ArchManager, SearchSpace

    path = tmp_path / "arch.json"
    arch = ArchManager(SearchSpace.load("demo")).largest(head="simcc")
    arch.save(path)
    assert run(["arch", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert arch.id in shown
    assert "stage 3" in shown
    assert "simcc" in shown
