"""Gradients over processes: one average per step, and the check that every process took the same step."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn


def agree(fabric: Fabric, digest: int, *, stop: int) -> int:
    """Check that all processes planned the same step; returns the signal that asked any to stop, or 0.

    Args:
        digest: 63-bit digest of this process's plan.
        stop: the signal that asked this process to stop; 0 for none.

    Raises:
        RuntimeError: the processes drew different plans (different code, recipe or data).
    """
    if fabric.world_size == 1:
        return stop
    mine = torch.tensor([digest, stop], device=fabric.device)
    gathered = [torch.empty_like(mine) for _ in range(fabric.world_size)]
    distributed.all_gather(gathered, mine)
    digests, stops = torch.stack(gathered).T.tolist()
    if len(set(digests)) > 1:
        raise RuntimeError(
            "the processes drew different plans for this step: they do not run the same code on the same data"
        )
    return int(max(stops))


def average(
    fabric: Fabric, parameters: Iterable[nn.Parameter], losses: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Average gradients (in place) and losses over all processes, in one reduction.

    A parameter that no process used keeps no gradient; one that only some used counts as zero in the others.
    Returns the averaged losses.
    """
    names = list(losses)
    values = torch.stack([losses[name].detach() for name in names]) if names else torch.empty(0)
    if fabric.world_size == 1:
        return dict(zip(names, values.unbind(), strict=True))
    used = _used_anywhere(fabric, list(parameters))
    for parameter in used:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    grads = [parameter.grad for parameter in used if parameter.grad is not None]
    values = values.to(grads[0]) if grads else values
    buffer = torch.cat([*(grad.flatten() for grad in grads), values])
    buffer = torch.as_tensor(fabric.all_reduce(buffer, reduce_op="mean"))
    *parts, means = torch.split(buffer, [*(grad.numel() for grad in grads), len(names)])
    for grad, part in zip(grads, parts, strict=True):
        grad.copy_(part.view(grad.shape))
    return dict(zip(names, means.unbind(), strict=True))


def _used_anywhere(fabric: Fabric, parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    used = torch.tensor([parameter.grad is not None for parameter in parameters], device=fabric.device)
    everywhere = torch.as_tensor(fabric.all_reduce(used.int(), reduce_op="sum"))
    return [parameter for parameter, count in zip(parameters, everywhere.tolist(), strict=True) if count]


def clip(parameters: Iterable[nn.Parameter], limit: float | None) -> Tensor:
    """The norm of all gradients; they are scaled down to `limit` where it is exceeded."""
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(grads, foreach=True)
    if limit is not None and torch.isfinite(norm):
        scale = limit / (norm + 1e-6)
        if scale < 1:
            torch._foreach_mul_(grads, scale)
    return norm
