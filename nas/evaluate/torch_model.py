"""A torch network as a model to validate."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.arrays import Pixels
from nas.models import PoseNet, Statistics, to_input
from nas.runtime.model import PoseModel
from nas.space.arch import Arch


class TorchModel(PoseModel):
    """One architecture of a network, run where the network's parameters are.

    Args:
        net: a network; its mode is left as it was.
        arch: needed where the network holds several.
        stats: batch-norm statistics of `arch`, unless they are embedded.
        flip: run every image mirrored as well and join the outputs before decoding.
    """

    def __init__(
        self, net: PoseNet, arch: Arch | None = None, stats: Statistics | None = None, *, flip: bool = False
    ) -> None:
        arch = net.resolve(arch)
        super().__init__(arch, net.skeleton, source=f"network {arch.id}", padding=net.padding)
        self.net = net
        self.stats = stats
        self.flip = flip

    @torch.no_grad()
    def candidates(self, images: Pixels) -> list[dict[str, NDArray[Any]]]:
        """For each RGB image [B, H, W, 3], what the codec groups.

        Raises StatisticsMissingError where statistics are neither given nor embedded.
        """
        weights = next(self.net.parameters())
        batch = to_input(torch.from_numpy(np.ascontiguousarray(images)), weights.device, dtype=weights.dtype)
        training = self.net.training
        self.net.eval()
        try:
            outputs = self.net(batch, self.arch, self.stats)
            if self.flip:
                mirrored = self.net(batch.flip(3), self.arch, self.stats)
                outputs = self.net.head(self.arch).merge_flip(outputs, mirrored, self.skeleton.flip_index)
            decoded = self.net.decode(outputs, self.arch)
        finally:
            self.net.train(training)
        arrays = {name: tensor.float().cpu().numpy() for name, tensor in decoded.items()}
        return [
            self._finite({name: array[index] for name, array in arrays.items()})
            for index in range(len(images))
        ]
