"""Latency features: what the time of a network is made of, summed over its traced operators."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.graph import Graph, Operator

CONSTANT = "constant"
"""The feature that is 1 for every network."""

_MEGA = 1e-6
# Export folds these into the convolution before them.
_FOLDED = frozenset({"batch_norm"})


class Sums:
    """Amounts by feature name; adding two adds every feature."""

    __slots__ = ("amounts",)

    def __init__(self, amounts: Mapping[str, float]) -> None:
        self.amounts = amounts

    def __add__(self, other: "Sums") -> "Sums":
        total = dict(self.amounts)
        for name, amount in other.amounts.items():
            total[name] = total.get(name, 0.0) + amount
        return Sums(total)


class OperatorFeatures:
    """The features of one operator.

    What multiplies (convolutions, linear layers, matrix products) has its MACs by label, in millions, and the
    megabytes that it moves; anything else the megabytes by label. Every operator counts as one.

    Args:
        channel_block: channels that convolutions compute at once; they are paid in steps of it.
    """

    def __init__(self, channel_block: int) -> None:
        self.channel_block = channel_block

    def __call__(self, operator: "Operator") -> Sums:
        from nas.graph import features

        if operator.kind in _FOLDED:
            return Sums({})
        found = features(operator)
        megabytes = (found.bytes_in + found.bytes_out) * _MEGA
        if not found.macs:
            return Sums({f"MB {found.label}": megabytes, "other operators": 1.0})
        return Sums(
            {
                f"MMAC {found.label}": found.macs * self._padding(operator) * _MEGA,
                "MB products": megabytes,
                "products": 1.0,
            }
        )

    def _padding(self, operator: "Operator") -> float:
        """Paid MACs over useful ones."""
        inputs, outputs = operator.input_types[0], operator.output_types[0]
        if operator.kind != "conv" or inputs is None:
            return 1.0
        padding = self._pad(outputs.shape[1])
        # A depthwise convolution has one padded axis; images (3 channels) are read without padding.
        if operator.attributes["group"] == 1 and inputs.shape[1] >= self.channel_block:
            padding *= self._pad(inputs.shape[1])
        return padding

    def _pad(self, channels: int) -> float:
        return -(-channels // self.channel_block) * self.channel_block / channels


def network_features(graph: "Graph", extract: OperatorFeatures) -> dict[str, float]:
    """The features of a whole network. Give the same `extract` again: the graph remembers what it summed."""
    return {CONSTANT: 1.0, **graph.total(extract, Sums({})).amounts}
