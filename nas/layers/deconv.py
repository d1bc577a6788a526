"""Transposed convolutions that double the resolution."""

from torch import Tensor, nn

from nas.layers.context import Context
from nas.layers.conv import ElasticConvTranspose2d
from nas.layers.norm import ElasticBatchNorm2d


class MergingDeconv(nn.Module):
    """Transposed convolutions of the refined and the raw features, added (LitePose's fusion deconv).

    Args:
        refined, raw: the largest channel counts of what comes in; raw None where there is none.
        width: of what goes out.
        kernel: of both (px).
    """

    def __init__(self, refined: int, raw: int | None, width: int, kernel: int = 2) -> None:
        super().__init__()
        self.refined = _doubling(refined, width, kernel)
        self.raw = None if raw is None else _doubling(raw, width, kernel)
        self.norm = ElasticBatchNorm2d(width)

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, context: Context) -> Tensor:
        """[B, C, h, w] of either -> [B, width, 2 h, 2 w]."""
        x: Tensor = self.refined(refined, width, context)
        if self.raw is not None:
            x = x + self.raw(raw, width, context)
        return self.norm.activated(x, context, "relu")


def _doubling(in_width: int, width: int, kernel: int) -> ElasticConvTranspose2d:
    return ElasticConvTranspose2d(in_width, width, kernel, stride=2, padding=(kernel - 2) // 2, bias=False)
