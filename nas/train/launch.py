"""Devices, processes and threads."""

import logging
import os
from collections.abc import Mapping

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
        local, nodes = slurm_tasks(os.environ)
        fabric = Fabric(
            accelerator=accelerator, strategy="ddp", devices=local, num_nodes=nodes, precision=precision
        )
    else:
        fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    fabric.launch()
    if not fabric.is_global_zero:
        logging.getLogger("nas").setLevel(logging.WARNING)
    return fabric


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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
