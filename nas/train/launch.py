"""Devices, processes and threads."""

import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment


def launch(*, accelerator: str, precision: str, threads: int | None = None) -> Fabric:
    """Join the processes that torchrun or SLURM started; one process and one device otherwise.

    Args:
        accelerator: "auto", "cpu" or "cuda".
        precision: as Fabric names it.
        threads: of this process; None for its share of the cores.
    """
    torch.set_num_threads(threads or _default_threads())
    if TorchElasticEnvironment.detect():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // local
        fabric = Fabric(
            accelerator=accelerator, strategy="ddp", devices=local, num_nodes=nodes, precision=precision
        )
    elif SLURMEnvironment.detect():
        local = int(os.environ.get("SLURM_NTASKS_PER_NODE", "1"))
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        fabric = Fabric(
            accelerator=accelerator, strategy="ddp", devices=local, num_nodes=nodes, precision=precision
        )
    else:
        fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    fabric.launch()
    return fabric


def _default_threads() -> int:
    """What OMP_NUM_THREADS says, else this process's share of the cores.

    torch by itself takes physical cores only, half of what small virtual machines have.
    """
    stated = os.environ.get("OMP_NUM_THREADS")
    if stated and "LOCAL_WORLD_SIZE" not in os.environ:
        return int(stated)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
