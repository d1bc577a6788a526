"""Device descriptions: what they read, and what they say they cannot control."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from latency_samples import DEVICE, small_network

import nas
from nas.timing import device as device_module
from nas.timing.device import Agreement, DeviceDescription, agreement, describe_device, pinned
from nas.timing.loop import NoProgress, VisitPlan, measure_networks
from nas.timing.protocol import Protocol
from nas.timing.table import LatencyTable

X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu avx2 avx512f fma nopl
"""
ARM = """processor\t: 0
Features\t: fp asimd asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd03

processor\t: 1
Features\t: fp asimd asimddp i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


def _describe(monkeypatch: pytest.MonkeyPatch, cpuinfo: Path) -> DeviceDescription:
    monkeypatch.setattr(device_module, "_CPUINFO", cpuinfo)
    return describe_device(threads=2)


@pytest.fixture(autouse=True)
def _no_board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device_module, "_BOARD", tmp_path / "no-board")


def test_generations_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(X86)
    found = _describe(monkeypatch, tmp_path / "cpuinfo")
    assert found.cpu == "AMD EPYC (family 26, model 2, stepping 1)"
    assert found.instruction_set == ("avx2", "avx512f", "fma")
    assert found.threads == 2


def test_unlike_cores_share_an_instruction_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(ARM)
    found = _describe(monkeypatch, tmp_path / "cpuinfo")
    assert found.cpu == "ARM implementer 0x41 part 0xd03 + ARM implementer 0x41 part 0xd0b"
    assert found.instruction_set == ("asimd", "asimddp")


def test_a_machine_without_proc_is_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = _describe(monkeypatch, tmp_path / "missing")
    assert found.cpu
    assert found.instruction_set == ()


def test_json_round_trip() -> None:
    assert DeviceDescription.from_json(DEVICE.to_json()) == DEVICE


@pytest.mark.parametrize(
    "change",
    [{"cpu": "other"}, {"instruction_set": ("avx2",)}, {"runtime": "onnxruntime 2.0.0"}, {"threads": 2}],
)
def test_the_fingerprint_tells_devices_apart(change: dict[str, object]) -> None:
    assert replace(DEVICE, **change).fingerprint != DEVICE.fingerprint  # type: ignore[arg-type]
    assert DEVICE.fingerprint in str(DEVICE)


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": "other"},
        {"instruction_set": ("avx2",)},
        {"cores": 8},
        {"system": "Darwin arm64"},
        {"session_options": (("arena", "off"),)},
        {"threads": 2},
    ],
)
def test_only_the_runtimes_version_may_differ(change: dict[str, object]) -> None:
    newer = replace(DEVICE, runtime="onnxruntime 2.0.0")
    assert agreement(DEVICE, DeviceDescription.from_json(DEVICE.to_json())) is Agreement.FULL
    assert agreement(DEVICE, newer) is Agreement.RUNTIME
    assert agreement(DEVICE, replace(DEVICE, **change)) is Agreement.NONE  # type: ignore[arg-type]
    assert agreement(DEVICE, replace(newer, **change)) is Agreement.NONE  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no core affinity")
def test_pinning_is_undone() -> None:
    before = os.sched_getaffinity(0)
    with pinned(1) as pinning:
        assert os.sched_getaffinity(0) == set(pinning.cores)
        assert len(pinning.cores) == 1
    assert os.sched_getaffinity(0) == before


def test_a_system_without_affinity_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pinned(1) as pinning:
        assert pinning.cores == ()
        assert any("no core affinity" in note for note in pinning.uncontrolled)


def test_a_refused_pinning_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    with pinned(1) as pinning:
        assert pinning.cores == ()
        assert any("Operation not permitted" in note for note in pinning.uncontrolled)


def test_a_board_names_what_its_cores_do_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(ARM)
    (tmp_path / "model").write_bytes(b"Example Board 5 Rev 1.0\0")
    monkeypatch.setattr(device_module, "_BOARD", tmp_path / "model")
    found = _describe(monkeypatch, tmp_path / "cpuinfo")
    assert found.cpu.startswith("Example Board 5 Rev 1.0, ARM implementer 0x41 part 0xd03")
    (tmp_path / "cpuinfo").write_text(X86)
    assert _describe(monkeypatch, tmp_path / "cpuinfo").cpu.startswith("AMD EPYC")


def _core(folder: Path, number: int, *, capacity: int | None = None, clock: int | None = None) -> None:
    core = folder / f"cpu{number}"
    (core / "cpufreq").mkdir(parents=True)
    for name, value in (("cpu_capacity", capacity), ("cpufreq/cpuinfo_max_freq", clock)):
        if value is not None:
            (core / name).write_text(f"{value}\n")


def test_the_fastest_cores_are_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device_module, "_CPU_FOLDER", tmp_path)
    assert device_module._fastest({0, 1, 2, 3}, 1) == (3,), "nothing is known: the last"
    for number, clock in enumerate((1800, 2400, 2400, 1800)):
        _core(tmp_path, number, clock=clock)
    assert device_module._fastest({0, 1, 2, 3}, 1) == (2,)
    assert device_module._fastest({0, 1, 2, 3}, 3) == (1, 2, 3)
    assert device_module._fastest({0, 3}, 4) == (0, 3), "no more than there are"
    (tmp_path / "cpu0" / "cpu_capacity").write_text("1024\n")
    assert device_module._fastest({0, 1, 2, 3}, 1) == (0,)


def test_affinity_that_cannot_even_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "sched_getaffinity", refuse, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    with pinned(1) as pinning:
        assert pinning.cores == ()
        assert any("Function not implemented" in note for note in pinning.uncontrolled)


@pytest.mark.parametrize(
    ("governor", "told"), [("performance", []), ("schedutil", ["'schedutil'"]), (None, [""])]
)
def test_the_clock_is_told_unless_it_is_held(
    governor: str | None, told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _core(tmp_path, 0)
    if governor:
        (tmp_path / "cpu0" / "cpufreq" / "scaling_governor").write_text(f"{governor}\n")
    monkeypatch.setattr(device_module, "_CPU_FOLDER", tmp_path)
    notes = device_module._clock_notes((0,))
    assert len(notes) == len(told)
    assert all("clock frequency" in note and part in note for note, part in zip(notes, told, strict=True))


def test_a_system_that_offers_nothing_still_measures_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on macOS and Windows: no affinity, no /proc, no /sys, no sysconf, no locks."""
    for name in ("sched_setaffinity", "sched_getaffinity", "sysconf"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setitem(sys.modules, "nas.locks", None)
    for name in ("_CPUINFO", "_CPU_FOLDER", "_BOARD"):
        monkeypatch.setattr(device_module, name, tmp_path / "missing")
    plans = []

    class Listener(NoProgress):
        def begin(self, plan: VisitPlan) -> None:
            plans.append(plan)

    (timing,) = measure_networks(
        [small_network()],
        table=tmp_path / "table.jsonl",
        sources=[],
        channel_block=1,
        threads=1,
        rng=np.random.default_rng(0),
        protocol=Protocol(visits=2, warmups=1, runs=1),
        progress=Listener(),
    )
    (plan,) = plans
    for part in ("core affinity", "clock frequency", "foreign load"):
        assert any(part in note for note in plan.uncontrolled), part
    assert [visit.foreign_load for visit in timing.visits] == [None, None]
    assert not timing.loaded
    table = LatencyTable.read(tmp_path / "table.jsonl")
    assert table.visits == {"small": 2}
    assert table.device.instruction_set == ()
    assert table.device.cpu


def test_importing_the_part_is_light() -> None:
    code = "import sys, nas.timing.networks; print({'torch', 'onnx', 'onnxruntime'} & sys.modules.keys())"
    environment = {**os.environ, "PYTHONPATH": str(Path(nas.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, env=environment, text=True, check=True)
    assert found.stdout.strip() == "set()"
