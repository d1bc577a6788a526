"""The optimizer and which weights decay."""

from collections.abc import Iterable

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from nas.runs.config import OptimizerConfig

TRANSFORM_PREFIX = "transform_"
"""Names of learned kernel maps: decay would shrink their identity, and with it every smaller kernel."""


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: not to norms and biases (one axis), not to kernel maps."""
    return parameter.ndim > 1 and not name.rpartition(".")[2].startswith(TRANSFORM_PREFIX)


def build_optimizer(named: Iterable[tuple[str, nn.Parameter]], config: OptimizerConfig) -> Optimizer:
    """Adam or AdamW over two groups: with and without weight decay."""
    parameters = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    groups = [
        {"params": [p for n, p in parameters if decays(n, p)], "weight_decay": config.weight_decay},
        {"params": [p for n, p in parameters if not decays(n, p)], "weight_decay": 0.0},
    ]
    kind: type[Adam] = {"adam": Adam, "adamw": AdamW}[config.name]
    return kind(groups, lr=config.lr, betas=config.betas, fused=True)
