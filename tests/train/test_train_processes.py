"""Averages over processes, and how many there are."""

import platform
import subprocess
import sys

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from nas.train.gradients import agree, average, clip
from nas.train.launch import slurm_tasks
from nas.train.processes import my_part, spread


def test_one_process_averages_nothing() -> None:
    parameter = nn.Parameter(torch.ones(2))
    unused = nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    losses = average(Fabric(accelerator="cpu", devices=1), [parameter, unused], {"a": torch.tensor(2.0)})
    assert losses == {"a": torch.tensor(2.0)}
    assert unused.grad is None
    assert parameter.grad.tolist() == [3.0, 4.0]


def test_clipping_scales_the_whole_gradient() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert clip(parameters, 1.0).item() == pytest.approx(5.0)
    assert [p.grad.item() for p in parameters[:2] if p.grad is not None] == pytest.approx([0.6, 0.8])
    assert parameters[2].grad is None
    assert clip(parameters, None).item() == pytest.approx(1.0)
    assert clip(parameters, 2.0).item() == pytest.approx(1.0)


class OfTwo:
    """Stands for one of two processes."""

    world_size = 2
    device = torch.device("cpu")

    def __init__(self, rank: int = 0) -> None:
        self.global_rank = rank


def test_other_plans_are_refused_and_a_stop_of_any_process_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_by(*other: int) -> None:
        def gather(everywhere: list[torch.Tensor], mine: torch.Tensor) -> None:
            everywhere[0].copy_(mine)
            everywhere[1].copy_(torch.tensor(other))

        monkeypatch.setattr(torch.distributed, "all_gather", gather)

    answer_by(7, 0)
    assert agree(OfTwo(), 7, stop=0) == 0  # type: ignore[arg-type]
    answer_by(7, 15)
    assert agree(OfTwo(), 7, stop=0) == 15  # type: ignore[arg-type]
    answer_by(8, 0)
    with pytest.raises(RuntimeError, match="different plans"):
        agree(OfTwo(), 7, stop=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_parts_are_disjoint_and_make_up_the_whole(count: int) -> None:
    parts = [list(my_part(OfTwo(rank), count)) for rank in (0, 1)]  # type: ignore[arg-type]
    assert [*parts[0], *parts[1]] == list(range(count))
    assert abs(len(parts[0]) - len(parts[1])) <= 1
    assert spread(None, range(count), lambda n: 2 * n) == [2 * n for n in range(count)]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_NTASKS": "1"}, (1, 1)),
        ({"SLURM_NTASKS": "4"}, (4, 1)),
        ({"SLURM_NTASKS": "8", "SLURM_NNODES": "2"}, (4, 2)),
        ({"SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4"}, (4, 2)),
    ],
)
def test_slurm_says_how_many_processes(environment: dict[str, str], expected: tuple[int, int]) -> None:
    assert slurm_tasks(environment) == expected


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs Linux and glibc")
def test_freed_memory_is_kept() -> None:
    """In a process of its own: glibc alone gives a large block back as soon as it is freed."""
    code = """
import sys
from pathlib import Path
from nas.train.launch import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
def resident():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])
block = bytearray(200 << 20)
block[::4096] = b"1" * len(block[::4096])
full = resident()
del block
print(full - resident())
"""
    given_back = {
        way: int(subprocess.run([sys.executable, "-c", code, way], capture_output=True, check=True).stdout)
        for way in ("keep", "leave")
    }
    assert given_back["leave"] > 150 << 20 > 50 << 20 > given_back["keep"]
