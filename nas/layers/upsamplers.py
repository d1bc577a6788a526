"""Up-samplers: from one scale to the next finer one."""

import torch.nn.functional as F
from torch import Tensor, nn

from nas.layers.conv import ElasticConv2d, ElasticConvTranspose2d, ElasticDepthwiseConv2d
from nas.layers.functional import activate
from nas.layers.norm import ElasticBatchNorm2d
from nas.layers.run import Run

NECK_ACTIVATION = "relu"


class _Deconv(nn.Module):
    """Transposed convolutions of the refined and the raw features, added (LitePose's fusion deconv)."""

    kernel: int

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__()
        self.refined = self._deconv(refined, width)
        self.raw = None if raw is None else self._deconv(raw, width)
        self.norm = ElasticBatchNorm2d(width)

    def _deconv(self, in_width: int, width: int) -> ElasticConvTranspose2d:
        padding = (self.kernel - 2) // 2
        return ElasticConvTranspose2d(in_width, width, self.kernel, stride=2, padding=padding, bias=False)

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, run: Run) -> Tensor:
        x: Tensor = self.refined(refined, width, run)
        if self.raw is not None:
            x = x + self.raw(raw, width, run)
        return activate(self.norm(x, run), NECK_ACTIVATION)


class Deconv4x4(_Deconv):
    kernel = 4


class Deconv2x2(_Deconv):
    kernel = 2


class _Joined(nn.Module):
    """1x1 convolutions of the refined and the raw features, added."""

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__()
        self.refined = ElasticConv2d(refined, width, 1, bias=False)
        self.raw = None if raw is None else ElasticConv2d(raw, width, 1, bias=False)
        self.norm = ElasticBatchNorm2d(width)

    def join(self, refined: Tensor, raw: Tensor | None, width: int, run: Run) -> Tensor:
        x: Tensor = self.refined(refined, width, run)
        return x if self.raw is None else x + self.raw(raw, width, run)


class _Resize(_Joined):
    """The sum of the 1x1 convolutions, enlarged."""

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, run: Run) -> Tensor:
        x = self.enlarge(self.join(refined, raw, width, run), width, run)
        return activate(self.norm(x, run), NECK_ACTIVATION)

    def enlarge(self, x: Tensor, width: int, run: Run) -> Tensor:
        raise NotImplementedError


class Nearest(_Joined):
    """1x1 convolution and nearest neighbours."""

    def forward(self, refined: Tensor, raw: Tensor | None, width: int, run: Run) -> Tensor:
        # Norm and activation are the same before enlarging, and cost a quarter.
        x = activate(self.norm(self.join(refined, raw, width, run), run), NECK_ACTIVATION)
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Bilinear(_Resize):
    """1x1 convolution and bilinear interpolation."""

    def enlarge(self, x: Tensor, width: int, run: Run) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class NearestDepthwise(_Resize):
    """1x1 convolution, nearest neighbours, 3x3 depthwise, 1x1 convolution: cheap, and learns to smooth."""

    def __init__(self, refined: int, raw: int | None, width: int) -> None:
        super().__init__(refined, raw, width)
        self.depthwise = ElasticDepthwiseConv2d(width, (3,))
        self.depthwise_norm = ElasticBatchNorm2d(width)
        self.project = ElasticConv2d(width, width, 1, bias=False)

    def enlarge(self, x: Tensor, width: int, run: Run) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.depthwise_norm(self.depthwise(x, 3, run), run)
        out: Tensor = self.project(x, width, run)
        return out


UPSAMPLERS: dict[str, type[_Deconv] | type[_Joined]] = {
    "deconv4x4": Deconv4x4,
    "deconv2x2": Deconv2x2,
    "nearest": Nearest,
    "nearest_dw": NearestDepthwise,
    "bilinear": Bilinear,
}
