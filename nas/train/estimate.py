"""What a training will take: disk for its checkpoints beforehand, memory as measured."""

import logging
import multiprocessing
import shutil

import torch

from nas.errors import UserError
from nas.files import writing
from nas.timing.memory import peak_memory
from nas.train.checkpoint import CheckpointStore
from nas.train.state import TrainingState

_MIB = 2**20
_SPARE = 16 * _MIB
"""For metrics, events and what else lies beside the checkpoints."""

_log = logging.getLogger(__name__)


def require_disk(title: str, state: TrainingState, store: CheckpointStore) -> None:
    """Say how much disk the checkpoints will take.

    Raises:
        UserError: clearly less is free.
    """
    one = checkpoint_bytes(state)
    # A new one is written before the oldest goes; the finished weights are as large as one set of them.
    needed = one * (store.keep + 1) + _weight_bytes(state)
    with writing(store.folder):
        store.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(store.folder).free
    if free + store.size() < needed:
        raise UserError(
            f"{store.folder}: {size(free)} are free, but the run needs {size(needed)} "
            f"({store.keep + 1} checkpoints of {size(one)} and the weights); free some space, lower "
            "checkpoint.keep, or put the run on another disk"
        )
    _log.info("%s: checkpoints take up to %s of disk (%s free)", title, size(needed + _SPARE), size(free))


def checkpoint_bytes(state: TrainingState) -> int:
    """Bytes of one checkpoint: weights, their average, and what the optimizer keeps of each parameter."""
    parameters = sum(p.numel() * p.element_size() for p in state.net.parameters() if p.requires_grad)
    return 2 * _weight_bytes(state) + 2 * parameters


def memory_so_far(device: torch.device) -> str:
    """The peak of memory so far, for a line: of this process, of its workers, of the device."""
    workers = [worker.pid for worker in multiprocessing.active_children() if worker.pid is not None]
    own = peak_memory()
    told = [] if own is None else [f"{size(own)} of memory"]
    if theirs := sum(peak_memory(pid) or 0 for pid in workers):
        told.append(
            f"{size(theirs)} of its {len(workers)} worker process(es), what they share counted in each"
        )
    if device.type == "cuda":
        told.append(f"{size(torch.cuda.max_memory_allocated(device))} on {device}")
    return ", ".join(told) or "memory unknown"


def size(count: int) -> str:
    """Bytes as a person says them: `12 MiB`, `3.4 GiB`."""
    if count < 1024 * _MIB:
        return f"{count / _MIB:.1f} MiB" if count < 10 * _MIB else f"{count / _MIB:.0f} MiB"
    return f"{count / 1024 / _MIB:.1f} GiB"


def _weight_bytes(state: TrainingState) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.net.state_dict().values())
