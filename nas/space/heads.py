"""The torch-free registry of head types: what a search space may name, and where its code lies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Literal

from nas.errors import UserError
from nas.space.arch import OptionValue

Task = Literal["image", "crop"]


@dataclass(frozen=True)
class HeadSpec:
    """A head type.

    Args:
        name: as written in search spaces and arch JSONs.
        task: "image" finds many people in a whole image, "crop" one person in a crop.
        module: "package.module:Class" of the torch head.
        codec: "package.module:Class" of the numpy codec.
        necks: the neck types whose features the head can take.
        options: every option with its default.
        strides: the strides (px) of the finest feature maps that the head needs, coarsest first; empty where
            it takes any.
        later: options that came after networks had been published without them. At their defaults files leave
            them out, so that the ids of older archs stay.
    """

    name: str
    task: Task
    module: str
    codec: str
    necks: tuple[str, ...]
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    strides: tuple[int, ...] = ()
    later: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if "neck" in self.options:
            raise ValueError("no option may be called 'neck': search spaces use the name for the head's neck")
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def neck_fault(self, neck: str, strides: tuple[int, ...]) -> str | None:
        """Why the head cannot stand on a neck of maps of these strides, coarsest first; None where it can."""
        if neck not in self.necks:
            return f"head {self.name!r} takes {' or '.join(self.necks)}, not {neck!r}"
        if self.strides and strides[-len(self.strides) :] != self.strides:
            needed, found = (", ".join(map(str, values)) for values in (self.strides, strides))
            return f"head {self.name!r} needs maps of stride {needed} at the end, {neck!r} ends in {found}"
        return None

    def load_module(self) -> Any:
        """The torch head class (imports torch)."""
        return _load(self.module)

    def load_codec(self) -> Any:
        """The numpy codec class."""
        return _load(self.codec)


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


_REGISTRY: dict[str, HeadSpec] = {}


def register_head(spec: HeadSpec) -> HeadSpec:
    """Make a head type known. Raises ValueError where the name is taken by another head."""
    if _REGISTRY.setdefault(spec.name, spec) != spec:
        raise ValueError(f"a head named {spec.name!r} is registered already")
    return spec


@cache
def _load_installed() -> None:
    """Let installed packages register their heads: the entry points of the group `nas.heads`."""
    for entry in entry_points(group="nas.heads"):
        try:
            entry.load()
        # Whatever a foreign package may raise.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"the installed head {entry.name!r} ({entry.value}) fails: {reason}") from None


def head_spec(name: str) -> HeadSpec:
    """The registered head of that name. Raises UserError for an unknown one."""
    if name not in _REGISTRY:
        _load_installed()
    try:
        return _REGISTRY[name]
    except KeyError:
        raise UserError(f"unknown head {name!r}; known heads: {', '.join(head_names())}") from None


def head_names() -> tuple[str, ...]:
    """The names of all registered heads, those of installed packages included."""
    _load_installed()
    return tuple(sorted(_REGISTRY))


def complete_options(name: str, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """All options of a head, those not given at their defaults.

    Raises:
        UserError: unknown head, unknown option, or a value of another type than the option's default.
    """
    defaults = head_spec(name).options
    for option, value in given.items():
        if option not in defaults:
            known = ", ".join(defaults) or "none"
            raise UserError(f"head {name!r} has no option {option!r}; its options: {known}")
        expected = type(defaults[option])
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise UserError(
                f"option {option!r} of head {name!r}: expected {expected.__name__}, got {value!r}"
            )
    return {**defaults, **given}


def written_options(name: str, options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """The options that a file has to name: `complete_options` of these gives all of them back."""
    spec = _REGISTRY.get(name)
    later = {} if spec is None else {option: spec.options[option] for option in spec.later}
    return {option: value for option, value in options.items() if (option, value) not in later.items()}


register_head(
    HeadSpec(
        name="associative_embedding",
        task="image",
        module="nas.heads.associative_embedding:AssociativeEmbeddingHead",
        codec="nas.codecs.associative_embedding:AssociativeEmbeddingCodec",
        necks=("fusion_deconv",),
        options={"kernel": "gaussian", "radius": "fixed", "foreground": 0.0},
        later=("kernel", "radius", "foreground"),
        strides=(4, 2),
    )
)
register_head(
    HeadSpec(
        name="part_affinity",
        task="image",
        module="nas.heads.part_affinity:PartAffinityHead",
        codec="nas.codecs.part_affinity:PartAffinityCodec",
        necks=("none", "fusion_deconv", "fpn", "pan"),
        options={"width": 64, "refinement": 1, "limbs": "skeleton", "fewest": 3},
        later=("limbs", "fewest"),
        strides=(8,),
    )
)
register_head(
    HeadSpec(
        name="heatmap",
        task="crop",
        module="nas.heads.heatmap:HeatmapHead",
        codec="nas.codecs.heatmap:HeatmapCodec",
        necks=("fusion_deconv", "fpn", "pan"),
        options={"kernel": "gaussian", "radius": "fixed", "refine": "quarter", "foreground": 0.0},
        later=("kernel", "radius", "refine", "foreground"),
    )
)
register_head(
    HeadSpec(
        name="simcc",
        task="crop",
        module="nas.heads.simcc:SimCCHead",
        codec="nas.codecs.simcc:SimCCCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"split": 2, "label": "gaussian"},
    )
)
register_head(
    HeadSpec(
        name="dense",
        task="image",
        module="nas.heads.dense:DenseHead",
        codec="nas.codecs.dense:DenseCodec",
        necks=("fpn", "pan", "fusion_deconv"),
        options={"decode": "nms", "people": 30},
        strides=(8,),
    )
)
register_head(
    HeadSpec(
        name="rtmcc",
        task="crop",
        module="nas.heads.rtmcc:RTMCCHead",
        codec="nas.codecs.rtmcc:RTMCCCodec",
        necks=("none", "fusion_deconv"),
        options={"split": 2, "hidden": 256},
    )
)
register_head(
    HeadSpec(
        name="integral",
        task="crop",
        module="nas.heads.integral:IntegralHead",
        codec="nas.codecs.integral:IntegralCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"beta": 1.0, "debias": False, "deconvolutions": 0, "width": 32},
    )
)
register_head(
    HeadSpec(
        name="dsnt",
        task="crop",
        module="nas.heads.dsnt:DSNTHead",
        codec="nas.codecs.dsnt:DSNTCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"beta": 1.0, "deconvolutions": 0, "width": 32},
    )
)
register_head(
    HeadSpec(
        name="regression",
        task="crop",
        module="nas.heads.regression:RegressionHead",
        codec="nas.codecs.regression:RegressionCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"dropout": 0.0, "bone": 0.0, "score": "none"},
    )
)
register_head(
    HeadSpec(
        name="rle",
        task="crop",
        module="nas.heads.rle:RLEHead",
        codec="nas.codecs.rle:RLECodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"dropout": 0.0, "bone": 0.0, "gamma": 1.0, "maps": "shared", "score": "sigma"},
    )
)
register_head(
    HeadSpec(
        name="center",
        task="image",
        module="nas.heads.center:CenterHead",
        codec="nas.codecs.center:CenterCodec",
        necks=("fusion_deconv", "fpn"),
        options={"people": 30, "activation": "sigmoid"},
        strides=(4,),
    )
)
