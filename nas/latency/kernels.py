"""What onnxruntime runs: kernels, and the rules by which operators become kernels.

Convolutions work on channels in blocks, which pads channels; what else works on blocked tensors, and what is
fused, follows onnxruntime's ConvActivationFusion and NchwcTransformer. `nas.latency.mirror` applies the rules
to whole networks.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nas.graph import Operator, features

REORDER_IN, REORDER_OUT = "reorder.in", "reorder.out"

# Fused into the convolution before them; the second group also after a sum was fused.
ACTIVATIONS = ("relu", "sigmoid", "tanh", "relu6", "leaky_relu", "hardsigmoid", "hardswish")
ACTIVATIONS_AFTER_SUM = frozenset({"relu", "sigmoid", "tanh"})

_CONVOLUTIONS = frozenset({"conv", "conv_transpose"})
_BLOCKED_POOLS = frozenset({"max_pool", "avg_pool"})
_BYTES = 4


class Kernel(NamedTuple):
    """One kernel, as its time is predicted from it; equal ones take equal time.

    Channels are padded to the block where the kernel works on blocked tensors.

    Args:
        kind: the operator's label, such as "conv.depthwise7", or a reorder.
        macs: multiply-accumulates that are paid.
        read, written, weights: bytes of input edges, output edges and constants.
        inputs, outputs: channels.
        height, width: of the output, in cells; 0 where it is no map.
        size, stride: of the filter; 0 where there is none.
        activation: the fused activation's number among those known, from 1; 0 without one.
        summed: 1 where a sum is fused.
    """

    kind: str
    macs: int
    read: int
    written: int
    weights: int
    inputs: int = 0
    outputs: int = 0
    height: int = 0
    width: int = 0
    size: int = 0
    stride: int = 0
    activation: int = 0
    summed: int = 0


class KernelRules:
    """What onnxruntime makes of single operators.

    Args:
        channel_block: channels that convolutions compute at once; 1 for machines without blocked layouts.
    """

    def __init__(self, channel_block: int) -> None:
        self._block = channel_block
        self._convolutions: dict[tuple[Any, ...], tuple[Operator, Kernel]] = {}

    def pad(self, channels: int) -> int:
        """Channels after padding to whole blocks."""
        return -(-channels // self._block) * self._block

    def works_on_blocks(self, operator: Operator) -> bool:
        """Whether a convolution or pooling works on blocked tensors."""
        if self._block == 1:
            return False
        if operator.kind in _BLOCKED_POOLS:
            return bool(operator.shape[1] % self._block == 0)
        if operator.kind != "conv":
            return False
        weight, group = operator.input_types[1], operator.attributes["group"]
        assert weight is not None
        outputs, per_group = weight.shape[:2]
        if group == 1 or (per_group == 1 and outputs == group):
            return True
        return bool(
            per_group % self._block == 0 and outputs % group == 0 and outputs // group % self._block == 0
        )

    def stays_blocked(self, operator: Operator, channels: Sequence[int]) -> bool:
        """Whether an operator that is no convolution works on blocked tensors of so many channels."""
        match operator.kind:
            case "add" | "mul":
                return operator.input_types[0] == operator.input_types[1]
            case "relu" | "sigmoid" | "tanh" | "silu":
                return True
            case "cat" | "global_avg_pool":
                aligned = all(self.pad(count) == count for count in channels)
                return aligned and operator.attributes.get("axis", 1) == 1
            case "interpolate":
                whole = all(scale == int(scale) for scale in operator.attributes["scales"])
                return bool(operator.attributes["mode"] == "nearest" and whole)
        return False

    def turns_a_matrix(self, operator: Operator) -> bool:
        """Whether an operator is a transpose of the last two axes."""
        if operator.kind != "transpose":
            return False
        *rest, last = operator.attributes["perm"]
        return bool(last == len(rest) - 1)

    def reads_plain(self, operator: Operator) -> bool:
        """Whether a blocked convolution reads a plain tensor: one of fewer channels than a block."""
        if operator.kind != "conv" or operator.attributes["group"] != 1:
            return False
        weight = operator.input_types[1]
        return weight is not None and weight.shape[1] < self._block

    def entrywise(self, operator: Operator) -> Kernel:
        """The kernel of an operator that works entry by entry on blocked tensors: channels are padded."""
        kernel = self.kernel(operator)
        ratio = self.pad(kernel.outputs) / kernel.outputs
        return kernel._replace(read=round(kernel.read * ratio), written=round(kernel.written * ratio))

    def reorder(self, kind: str, shape: Sequence[int]) -> Kernel:
        """The kernel that brings a tensor of this shape into blocks, or out of them."""
        _, channels, height, width = shape
        padded, cells = self.pad(channels), height * width
        read, written = (channels, padded) if kind == REORDER_IN else (padded, channels)
        return Kernel(
            kind, 0, read * cells * _BYTES, written * cells * _BYTES, 0, read, written, height, width
        )

    def kernel(self, operator: Operator) -> Kernel:
        """The kernel of an operator on its own."""
        if operator.kind not in _CONVOLUTIONS:
            return self._describe(operator)
        # The traced types of equal shapes are the same objects; the operator that is kept keeps them alive.
        types = (id(operator.input_types), id(operator.output_types))
        key = (operator.kind, *types, operator.attributes["group"], operator.attributes["strides"])
        if key not in self._convolutions:
            kernel = self._describe_convolution(operator, self._describe(operator))
            self._convolutions[key] = (operator, kernel)
        return self._convolutions[key][1]

    def _describe(self, operator: Operator) -> Kernel:
        found = features(operator)
        kernel = Kernel(found.label, found.macs, found.bytes_in, found.bytes_out, found.bytes_weights)
        shape = operator.shape
        if len(shape) == 4:
            kernel = kernel._replace(outputs=shape[1], height=shape[2], width=shape[3])
        source = operator.input_types[0]
        if source is not None and len(source.shape) == 4:
            kernel = kernel._replace(inputs=source.shape[1])
        return kernel

    def _describe_convolution(self, operator: Operator, kernel: Kernel) -> Kernel:
        source, weight = operator.input_types[:2]
        assert source is not None
        assert weight is not None
        kernel = kernel._replace(size=max(weight.shape[2:]), stride=max(operator.attributes["strides"]))
        if not self.works_on_blocks(operator):
            return kernel
        group = operator.attributes["group"]
        plain = self.reads_plain(operator)
        inputs = source.shape[1] if plain else self.pad(source.shape[1])
        outputs = self.pad(operator.shape[1])
        per_group = inputs if group == 1 else weight.shape[1]
        cells = kernel.height * kernel.width
        taps = weight.shape[2] * weight.shape[3]
        return kernel._replace(
            macs=cells * outputs * per_group * taps,
            read=inputs * source.shape[2] * source.shape[3] * _BYTES,
            written=outputs * cells * _BYTES,
            weights=outputs * (per_group * taps + 1) * _BYTES,
            inputs=inputs,
            outputs=outputs,
        )
