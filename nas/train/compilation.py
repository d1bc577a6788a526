"""torch.compile for single networks."""

import logging
import time

import torch
from lightning_fabric import Fabric

from nas.errors import UserError
from nas.models import PoseNet
from nas.progress import duration

_log = logging.getLogger(__name__)


def compile_network(net: PoseNet, *, batch: int, fabric: Fabric) -> None:
    """Compile a plain network in place, forward and backward, for batches of that size.

    Its weights and their names stay as they are, and so do copies of it.

    Raises:
        UserError: torch cannot compile here; says why.
    """
    arch = net.resolve(None)
    _log.info("compiling the network: a minute or more")
    start = time.perf_counter()
    net.train().compile()
    images = torch.zeros(batch, 3, *arch.resolution, device=fabric.device, dtype=next(net.parameters()).dtype)
    try:
        with fabric.autocast():
            outputs = net(images.to(memory_format=torch.channels_last), arch)
        torch.autograd.backward([output.float().square().mean() for output in outputs.values()])
    # Whatever a compiler may raise: it has its own exceptions for each of its stages.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"compile: torch.compile does not work here ({reason}); leave compile out") from None
    net.zero_grad(set_to_none=True)
    _log.info("compiled in %s", duration(time.perf_counter() - start))
