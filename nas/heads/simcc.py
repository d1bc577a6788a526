"""SimCC head for person crops (Li et al. 2022): one classification per axis."""

from torch import Tensor

from nas.heads.axes import AxisHead, bin_axes, grid_axes
from nas.heads.base import HeadPlace, Outputs, SeparableOutput
from nas.layers import Context, LevelFeatures, ResampledLinear
from nas.space.arch import Head as HeadArch

MAP_STD = 0.1


class SimCCHead(AxisHead):
    """A map per joint, flattened, and one linear layer per axis to `split` bins per pixel.

    Outputs `x` [B, K, W * split] and `y` [B, K, H * split], both logits. The linear layers are tied to the
    grid; for other resolutions their weights are resampled.
    """

    def __init__(self, place: HeadPlace) -> None:
        super().__init__(place)
        self.stride = place.finest.stride
        self.output = SeparableOutput(place.finest, self.keypoints, std=MAP_STD)
        grid = grid_axes(place.resolutions, self.stride)
        bins_y, bins_x = bin_axes(place.resolutions, place.options["split"])
        self.x = ResampledLinear(grid, bins_x)
        self.y = ResampledLinear(grid, bins_y)

    def forward(self, levels: tuple[LevelFeatures, ...], head: HeadArch, context: Context) -> Outputs:
        maps = self.output(levels[-1], context)
        bins = int(head.option("split")) * self.stride
        return {
            "x": self.x(maps, maps.shape[3] * bins, context),
            "y": self.y(maps, maps.shape[2] * bins, context),
        }

    def label(self, target: Tensor) -> Tensor:
        """The target, normalised to sum 1."""
        return target / target.sum(dim=2, keepdim=True).clamp(min=1e-9)
