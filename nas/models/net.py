"""The one network definition: a supernet over a search space, a plain network over one architecture."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from nas.codecs.affine import PADDING
from nas.heads import HeadPlace, Outputs, PoseHead
from nas.layers import Context, ElasticBatchNorm2d, ElasticLayer, LevelFeatures, Statistics
from nas.models.backbone import build_stages
from nas.space.arch import Arch, Neck
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace
from nas.space.specs import HeadSpec, NeckSpec, StemSpec


class PoseNet(nn.Module):
    """A pose network over a search space.

    Every choice of kind (block type, up-sampler, head ...) has a module of its own, at its largest width; an
    architecture is run by slicing. Over a space of one architecture this is that plain network.

    Args:
        space: a search space, or the one architecture of a plain network.
        skeleton: the joints to find, or the name of a shipped skeleton.
        padding: how much boxes are grown before it sees them, where it sees crops.
    """

    def __init__(
        self, space: SearchSpace | Arch, skeleton: Skeleton | str, *, padding: float = PADDING
    ) -> None:
        super().__init__()
        self.arch = space if isinstance(space, Arch) else None
        self.space = SearchSpace.of(space) if isinstance(space, Arch) else space
        self.skeleton = Skeleton.load(skeleton) if isinstance(skeleton, str) else skeleton
        self.padding = padding
        self._build()
        for name, module in self.named_modules():
            if isinstance(module, ElasticLayer):
                module.key = name
        for modules in (self.stems, self.stages, self.necks):
            modules.apply(_initialise)

    def _build(self) -> None:
        spec = self.space.spec
        stem_width = max(spec.stem.widths)
        stem = part(StemSpec, spec.stem.type)
        self.stems = nn.ModuleDict({stem.name: stem.load_module()(stem_width)})
        self.stages = build_stages(stem_width, spec.stages)

        stride = stem.stride
        features = [(stem_width, stride)]
        for stage in spec.stages:
            stride *= stage.stride
            features.append((max(stage.widths), stride))
        self.necks = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        for neck_name, neck in spec.necks.items():
            module = part(NeckSpec, neck_name).load_module()(features, neck)
            self.necks[neck_name] = module
            self.heads[neck_name] = nn.ModuleDict(
                {
                    name: part(HeadSpec, name).load_module()(
                        HeadPlace(module.levels, self.skeleton, spec.resolutions, head.options)
                    )
                    for name, head in spec.heads.items()
                    if neck_name in head.necks
                }
            )

    def forward(self, images: Tensor, arch: Arch | None = None, stats: Statistics | None = None) -> Outputs:
        """The head's outputs for one architecture.

        Args:
            images: [B, 3, H, W] normalised RGB at the architecture's resolution.
            arch: may be left out where the network holds one architecture only.
            stats: batch-norm statistics of `arch`, needed in eval mode unless they are embedded; they take
                precedence over embedded ones.

        Raises:
            StatisticsMissingError: in eval mode without statistics.
            ValueError: statistics of another architecture, images of another size, no architecture.
        """
        arch = self.resolve(arch)
        return self.in_context(images, arch, Context() if stats is None else Context(stats.of(arch.id)))

    def in_context(self, images: Tensor, arch: Arch, context: Context) -> Outputs:
        """`forward` in an explicit context."""
        levels = self._levels(self._features(images, arch, context), arch, context)
        outputs: Outputs = self.head(arch)(levels, arch.head, context)
        return outputs

    def together(self, images: Tensor, archs: Sequence[Arch]) -> list[Outputs]:
        """`forward` of architectures that are one but for neck and head, in training mode.

        Stem and stages run once for all of them, a neck once for those that stand on it.

        Raises:
            ValueError: their bodies differ.
        """
        if len({(arch.resolution, arch.stem, arch.stages) for arch in archs}) != 1:
            raise ValueError("only architectures of one body can be run together")
        context = Context()
        features = self._features(images, archs[0], context)
        levels: dict[Neck, tuple[LevelFeatures, ...]] = {}
        found: list[Outputs] = []
        for arch in archs:
            if arch.neck not in levels:
                levels[arch.neck] = self._levels(features, arch, context)
            found.append(self.head(arch)(levels[arch.neck], arch.head, context))
        return found

    def _features(self, images: Tensor, arch: Arch, context: Context) -> tuple[Tensor, ...]:
        """What stem and stages give. Raises ValueError for images of another size."""
        if tuple(images.shape[2:]) != arch.resolution:
            raise ValueError(f"images of {tuple(images.shape[2:])} for an architecture of {arch.resolution}")
        features = [self.stems[arch.stem.type](images, arch.stem, context)]
        for module, stage in zip(self.stages, arch.stages, strict=True):
            features.append(module(features[-1], stage, context))
        return tuple(features)

    def _levels(
        self, features: tuple[Tensor, ...], arch: Arch, context: Context
    ) -> tuple[LevelFeatures, ...]:
        """What the neck hands to the head."""
        levels: tuple[LevelFeatures, ...] = self.necks[arch.neck.type](features, arch.neck, context)
        return levels

    def decode(self, outputs: Outputs, arch: Arch | None = None) -> Outputs:
        """Poses or candidates in input px: see the head's `decode`."""
        arch = self.resolve(arch)
        return self.head(arch).decode(outputs, arch.head)

    def head(self, arch: Arch | None = None) -> PoseHead:
        """The head module of an architecture."""
        arch = self.resolve(arch)
        heads: Any = self.heads[arch.neck.type]
        head: PoseHead = heads[arch.head.type]
        return head

    def resolve(self, arch: Arch | None) -> Arch:
        """The architecture meant. Raises ValueError where it is left out and there are several."""
        arch = arch or self.arch
        if arch is None:
            raise ValueError("a network over a space of several architectures must be told which to run")
        return arch

    def embed(self, stats: Statistics) -> None:
        """Keep statistics in a plain network's batch norms. Raises ValueError on a mismatch."""
        values = stats.of(self.resolve(None).id)
        for module in self.modules():
            if isinstance(module, ElasticBatchNorm2d):
                mean, variance = values[module.key]
                module.embed(mean.clone(), variance.clone())

    def forget_statistics(self) -> None:
        """Drop embedded statistics: once weights change, they would be those of another network."""
        for module in self.modules():
            if isinstance(module, ElasticBatchNorm2d):
                module.forget()

    @property
    def is_calibrated(self) -> bool:
        """Whether statistics are embedded."""
        norms = [m for m in self.modules() if isinstance(m, ElasticBatchNorm2d)]
        return bool(norms) and all(norm.running_mean is not None for norm in norms)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in")
