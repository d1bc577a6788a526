"""DSNT for person crops (Nibali et al. 2018): integral regression whose maps are taught to be Gaussians."""

from collections.abc import Mapping

from torch import Tensor

from nas.heads.base import Outputs, weighted_mean
from nas.heads.integral import IntegralHead, flat_softmax, jensen_shannon
from nas.space.arch import Head as HeadArch

DIVERGENCE_WEIGHT = 10.0


class DSNTHead(IntegralHead):
    """Integral regression without its `debias`: maps taught to be zero far from a joint have no bias."""

    def normalise(self, logits: Tensor, head: HeadArch) -> Tensor:
        return flat_softmax(logits)

    def loss(self, outputs: Outputs, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Integral regression's loss, and 10 times the Jensen-Shannon divergence to the Gaussians.

        These are the products of `x` [B, K, w] and `y` [B, K, h].
        """
        gaussians = targets["y"].unsqueeze(3) * targets["x"].unsqueeze(2)
        divergence = weighted_mean(jensen_shannon(outputs["probabilities"], gaussians), targets["weights"])
        return {**super().loss(outputs, targets), "divergence": DIVERGENCE_WEIGHT * divergence}
