"""What one forward pass is told besides its input and its architecture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import Tensor

from nas.errors import UserError

Observer = Callable[[str, Tensor, Tensor], None]
Capture = Callable[[str, Mapping[str, Tensor | None]], None]


class StatisticsMissingError(UserError):
    """A network was to be scored without the batch-norm statistics of its architecture."""


@dataclass(frozen=True)
class Statistics:
    """Batch-norm statistics of one architecture.

    Args:
        arch_id: the architecture that they belong to.
        values: for each batch norm (by its name in the network) mean and biased variance, both [C].
        origin: where they come from (number of images, their source).
    """

    arch_id: str
    values: Mapping[str, tuple[Tensor, Tensor]]
    origin: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "origin", MappingProxyType(dict(self.origin)))

    def of(self, arch_id: str) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The values. Raises ValueError where they are those of another architecture."""
        if self.arch_id != arch_id:
            raise ValueError(f"statistics of architecture {self.arch_id} given for {arch_id}")
        return self.values


@dataclass(frozen=True)
class Context:
    """The context of one forward pass, handed to every layer as its last argument.

    Args:
        values: statistics of each batch norm, used in eval mode.
        observe: called with the name of each batch norm and with mean and biased variance [C] of its input,
            which it then uses.
        capture: called with the name and the active parameters of each elastic layer.
    """

    values: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    observe: Observer | None = None
    capture: Capture | None = None

    @property
    def uses_batch_statistics(self) -> bool:
        return self.observe is not None or self.capture is not None

    def statistics(self, key: str) -> tuple[Tensor, Tensor] | None:
        """Mean and variance of one batch norm, where this pass brings them."""
        return self.values.get(key)
