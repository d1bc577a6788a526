"""Device descriptions: what they read, and what they say they cannot control."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from latency_samples import DEVICE

from nas.latency import device as device_module
from nas.latency.device import DeviceDescription, describe_device, pinned

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
