"""Devices, processes and threads."""

import atexit
import ctypes
import logging
import os
import platform
from collections.abc import Mapping
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from nas.data.threads import cores
from nas.interrupt import ending_at_once

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""

LONGEST_WAIT = timedelta(minutes=10)
"""For another process; the first one reads data and draws networks while the others wait."""


def launch(*, accelerator: str, precision: str, threads: int | None = None) -> Fabric:
    """Join the processes that torchrun or SLURM started; one process and one device otherwise.

    Args:
        accelerator: "auto", "cpu" or "cuda".
        precision: as Fabric names it.
        threads: of this process; None for its share of the cores.
    """
    torch.set_num_threads(threads or _default_threads())
    keep_memory()
    by_torchrun = TorchElasticEnvironment.detect()
    if by_torchrun or SLURMEnvironment.detect():
        local, nodes = _torchrun_workers(os.environ) if by_torchrun else slurm_tasks(os.environ)
        strategy = DDPStrategy(timeout=LONGEST_WAIT)
        fabric = Fabric(
            accelerator=accelerator, strategy=strategy, devices=local, num_nodes=nodes, precision=precision
        )
    else:
        fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    if by_torchrun and not distributed.is_initialized():
        _join_attempt(fabric.device)
    fabric.launch()
    if not fabric.is_global_zero:
        logging.getLogger("nas").setLevel(logging.WARNING)
    return fabric


def processes() -> int:
    """How many torchrun or SLURM started, this one among them."""
    if TorchElasticEnvironment.detect():
        return int(os.environ["WORLD_SIZE"])
    if SLURMEnvironment.detect():
        tasks, nodes = slurm_tasks(os.environ)
        return tasks * nodes
    return 1


def keep_memory() -> None:
    """Let glibc keep freed memory for what comes next; other C libraries do as they do.

    It gives every large block back to the system at once, which then has to clear the next step's pages anew.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, 2**31 - 1)
        mallopt(_TRIM_THRESHOLD, -1)


def _join_attempt(device: torch.device) -> None:
    """Meet the other processes of this attempt, and none of an earlier one.

    torchrun keeps one store over all restarts, in which a process that starts anew would find the addresses
    that the dead ones left. So each attempt writes under a name of its own.
    """
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    with ending_at_once():
        store, rank, size = next(rendezvous("env://", timeout=LONGEST_WAIT))
        distributed.init_process_group(
            distributed.get_default_backend_for_device(device),
            store=PrefixStore(f"attempt-{attempt}", store),
            rank=rank,
            world_size=size,
            timeout=LONGEST_WAIT,
            device_id=device if cuda else None,
        )
    if cuda:
        atexit.register(distributed.destroy_process_group)


def _torchrun_workers(environment: Mapping[str, str]) -> tuple[int, int]:
    """Processes per node and nodes that torchrun started."""
    local = int(environment["LOCAL_WORLD_SIZE"])
    return local, int(environment["WORLD_SIZE"]) // local


def slurm_tasks(environment: Mapping[str, str]) -> tuple[int, int]:
    """Processes per node and nodes that srun started, of which SLURM names the first only where asked to."""
    nodes = int(environment.get("SLURM_NNODES", "1"))
    per_node = environment.get("SLURM_NTASKS_PER_NODE")
    return int(per_node) if per_node else max(1, int(environment.get("SLURM_NTASKS", "1")) // nodes), nodes


def _default_threads() -> int:
    """What OMP_NUM_THREADS says, else this process's share of the cores.

    torch by itself takes physical cores only, half of what small virtual machines have.
    """
    stated = os.environ.get("OMP_NUM_THREADS")
    if stated and "LOCAL_WORLD_SIZE" not in os.environ:
        return int(stated)
    return max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
