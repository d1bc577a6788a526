"""What a training changes as it goes on, and how it is put into a checkpoint and back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from nas.errors import UserError
from nas.models import PoseNet
from nas.train.checkpoint import Checkpoint
from nas.train.clock import Spent
from nas.train.compiled import TORCH
from nas.train.place import Recent, places, remember
from nas.train.weighting import LearnedWeights

LABELS = "labels of the training images"

_ADDED = frozenset({LABELS})
"""Digests that checkpoints of earlier versions lack."""


def not_finite(module: nn.Module) -> str | None:
    """The name of the first tensor of a module that is not finite; None where all are."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return name
    return None


@dataclass
class Counters:
    """Plain values of a training.

    Args:
        step: finished steps.
        rate: factor on the learning rate; lowered by roll-backs.
        skipped: of the finished steps, those that were skipped because something was not finite; `in_a_row`
            of them just now.
        rollbacks: roll-backs so far.
        sums, counts: losses since the last line of the metrics, by name.
        recent: what `places` tells from.
    """

    step: int = 0
    rate: float = 1.0
    skipped: int = 0
    in_a_row: int = 0
    rollbacks: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    recent: Recent = field(default_factory=dict)

    def add(self, losses: Mapping[str, float]) -> None:
        """Count one step's losses."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        remember(self.recent, losses)

    def take_means(self) -> dict[str, float]:
        """The mean of every loss since the last call, and the places of random networks."""
        means = {name: self.sums[name] / self.counts[name] for name in sorted(self.sums)}
        self.sums, self.counts = {}, {}
        return means | places(self.recent)


@dataclass
class TrainingState:
    """Network, its average, optimizer and counters. All random draws follow from (seed, step).

    Args:
        weighting: learned weights of the loss's terms; None where they are fixed.
        identity: digests of what plans are drawn from (training samples, pool of networks); a training can
            only go on with the same.
        loops: by what it learns: see `nas.train.compiled`.
        spent: the time that it took so far; changes nothing in what is learned.
    """

    net: PoseNet
    ema: AveragedModel
    optimizer: Optimizer
    identity: Mapping[str, str]
    weighting: LearnedWeights | None = None
    counters: Counters = field(default_factory=Counters)
    loops: str = TORCH
    spent: Spent = field(default_factory=Spent)

    def checkpoint(self) -> Checkpoint:
        """Everything, as of now."""
        return Checkpoint(
            step=self.counters.step,
            weights={name: module.state_dict() for name, module in self._modules()},
            state={
                "optimizer": self.optimizer.state_dict(),
                "counters": asdict(self.counters),
                "identity": dict(self.identity),
                "loops": self.loops,
                "spent": asdict(self.spent),
            },
        )

    def broken(self) -> str | None:
        """The name of the first weight, of network, average or loss, that is not finite; None where none."""
        for part, module in self._modules():
            if name := not_finite(module):
                return f"{part}.{name}"
        return None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take everything from a checkpoint. Raises UserError where it drew from other data or networks."""
        former: dict[str, Any] = checkpoint.state["identity"]
        for name, digest in self.identity.items():
            if former.get(name) != digest and not (name in _ADDED and name not in former):
                raise UserError(
                    f"this run was started with other {name}; put them back as they were, or start a new run"
                )
        for name, module in self._modules():
            module.load_state_dict(checkpoint.weights[name])
        self.optimizer.load_state_dict(checkpoint.state["optimizer"])
        self.counters = Counters(**checkpoint.state["counters"])
        # Earlier versions kept no time; and a roll-back gives none back.
        spent = Spent(**checkpoint.state.get("spent", {}))
        self.spent = max(spent, self.spent, key=lambda one: one.total)

    def parameters(self) -> list[nn.Parameter]:
        """All that is learned, of the network and beside it."""
        learned = [*self.net.parameters(), *(self.weighting.parameters() if self.weighting else ())]
        return [parameter for parameter in learned if parameter.requires_grad]

    def _modules(self) -> list[tuple[str, nn.Module]]:
        """What holds weights, by its name in checkpoints."""
        beside = [("weighting", self.weighting)] if self.weighting else []
        return [("model", self.net), ("ema", self.ema), *beside]
