"""The schema of search-space files: what may vary, as ordered lists of choices."""

from collections.abc import Iterator, Mapping
from itertools import chain
from math import prod
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from nas.documents import read_yaml, shown
from nas.errors import UserError
from nas.space.arch import Arch
from nas.space.choices import Listed, SpaceModel, complete_options
from nas.space.fields import (
    LARGEST_SIDE,
    Activation,
    AsTuple,
    Coarser,
    Convolution,
    NeckType,
    Option,
    StemType,
    Upsampler,
    Width,
    resolution_fault,
)
from nas.space.parts import find, part
from nas.space.specs import HeadSpec, NeckSpec, StemSpec, Task, VariedSpec
from nas.space.stages import StageChoices

_Spec = TypeVar("_Spec", bound=VariedSpec)


def _resolutions(value: Any) -> tuple[tuple[Any, Any], ...]:
    """`256`, `[256, 320]` (squares) or `[[128, 96], [256, 192]]` (h, w), by area."""
    entries = value if isinstance(value, list | tuple) else [value]
    pairs = []
    for entry in entries:
        pair = (entry, entry) if type(entry) is int else entry
        if (
            not isinstance(pair, list | tuple)
            or len(pair) != 2
            or any(type(side) is not int or not 0 < side <= LARGEST_SIDE for side in pair)
        ):
            raise ValueError(f"expected a side or [height, width] in pixels, got {shown(entry)}")
        pairs.append((pair[0], pair[1]))
    areas = [height * width for height, width in pairs]
    if not pairs or len(set(pairs)) != len(pairs) or areas != sorted(areas):
        raise ValueError(f"list the input sizes from small to large, each once; got {shown(value)}")
    return tuple(pairs)


_Options = dict[str, Annotated[tuple[Option, ...], Listed]]


class StemChoices(SpaceModel):
    """The layers before the first stage."""

    type: StemType = "separable"
    widths: Annotated[tuple[Width, ...], Listed] = Field(alias="width")
    activations: Annotated[tuple[Activation, ...], Listed] = Field(alias="activation")


class NeckChoices(SpaceModel):
    """What joins the stages' features: one list of widths per level; see `Neck`."""

    upsamplers: Annotated[tuple[Upsampler, ...], Listed] = Field(alias="upsampler", default=())
    widths: Annotated[tuple[Annotated[tuple[Width, ...], Listed], ...], AsTuple] = ()
    convolutions: Annotated[tuple[Convolution, ...], Listed] = Field(alias="convolution", default=())
    coarser: Coarser = 0
    options: _Options = Field(default={})


class HeadChoices(SpaceModel):
    """The necks that a head may stand on, and the choices of its options."""

    necks: Annotated[tuple[NeckType, ...], Listed] = Field(alias="neck")
    options: _Options = Field(default={})


class SpaceSpec(SpaceModel):
    """A whole search space. Lists run from cheap to expensive: the last choice makes the larger network."""

    name: str = Field(min_length=1)
    task: Task
    resolutions: Annotated[tuple[tuple[int, int], ...], BeforeValidator(_resolutions)] = Field(
        alias="resolution"
    )
    stem: StemChoices
    stages: Annotated[tuple[StageChoices, ...], AsTuple, Field(min_length=1)]
    necks: dict[NeckType, NeckChoices]
    heads: dict[str, HeadChoices] = Field(min_length=1)
    published: Annotated[tuple[str, ...], AsTuple] = ()

    @property
    def total_stride(self) -> int:
        """Input pixels per cell of the last stage."""
        return part(StemSpec, self.stem.type).stride * prod(stage.stride for stage in self.stages)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """What is left out takes the defaults that the parts' descriptions have."""
        if not isinstance(data, Mapping):
            return data
        parts = {name: data[name] for name in ("necks", "heads") if isinstance(data.get(name), Mapping)}
        necks = parts.get("necks", {})
        if necks:
            parts["necks"] = {name: _complete_neck(name, given) for name, given in necks.items()}
        if "heads" in parts:
            heads = parts["heads"].items()
            parts["heads"] = {name: _complete_head(name, given, necks) for name, given in heads}
        return {**data, **parts}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for fault in chain(self._shape_faults(), self._head_faults()):
            raise ValueError(fault)
        return self

    def _shape_faults(self) -> Iterator[str]:
        stride = self.total_stride
        for name, neck in self.necks.items():
            shape = {"widths": len(neck.widths), "coarser": neck.coarser, "total_stride": stride}
            known = part(NeckSpec, name)
            for fault in (known.field_fault(neck.choices()), known.shape_fault(**shape)):
                if fault is not None:
                    yield f"necks.{name}.{fault}"
        coarsest = stride * 2 ** max((neck.coarser for neck in self.necks.values()), default=0)
        for resolution in self.resolutions:
            if fault := resolution_fault(resolution, coarsest):
                yield f"resolution: {fault}"

    def strides(self, neck: str) -> tuple[int, ...]:
        """The strides (px) of the maps that one of the necks gives, coarsest first."""
        spec = self.necks[neck]
        return part(NeckSpec, neck).strides(self.total_stride, len(spec.widths), spec.coarser)

    def _head_faults(self) -> Iterator[str]:
        for name, head in self.heads.items():
            known = part(HeadSpec, name)
            if known.task != self.task:
                yield f"heads.{name}: is a head for the task {known.task!r}, not {self.task!r}"
            for neck in head.necks:
                if neck not in self.necks:
                    yield f"heads.{name}.neck: {neck!r} is not described under necks"
                elif fault := known.neck_fault(part(NeckSpec, neck), self.strides(neck)):
                    yield f"heads.{name}.neck: {fault}"
        used = {neck for head in self.heads.values() for neck in head.necks}
        yield from (f"necks.{name}: no head stands on it" for name in self.necks if name not in used)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `read` accepts."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a YAML file. Raises UserError naming file and field."""
        return cls.read(read_yaml(path), str(path))

    @classmethod
    def of(cls, arch: Arch) -> Self:
        """The space that holds one arch only. Raises UserError where the arch itself is not valid."""
        fields = {name: field for name, field in vars(arch.neck).items() if field is not None}
        neck = {**fields, "options": dict(arch.neck.options)}
        data = {
            "name": f"arch-{arch.id}",
            "task": part(HeadSpec, arch.head.type).task,
            "resolution": [arch.resolution],
            "stem": arch.stem.to_json(),
            "stages": [{**stage.to_json(), "depth": stage.depth} for stage in arch.stages],
            "necks": {neck.pop("type"): neck},
            "heads": {arch.head.type: {"neck": arch.neck.type, "options": dict(arch.head.options)}},
        }
        return cls.read(data, f"arch {arch.id}")


def _complete_neck(name: Any, given: Any) -> Any:
    """What a neck leaves out: its fields and options."""
    if not isinstance(name, str) or find(NeckSpec, name) is None or not isinstance(given, Mapping):
        return given
    known, options = _part_and_options(NeckSpec, name, given, "necks")
    fields = {field: value for field, value in known.fields.items() if value is not None}
    return {**fields, **given, "options": options}


def _complete_head(name: Any, given: Any, necks: Mapping[str, Any]) -> Any:
    """What a head leaves out: its necks among those described, its options."""
    if not isinstance(given, Mapping):
        return given
    known, options = _part_and_options(HeadSpec, name, given, "heads")
    own = [neck for neck in necks if (spec := find(NeckSpec, neck)) and known.takes(spec)]
    if not own and "neck" not in given:
        raise ValueError(f"heads.{name}: takes {' or '.join(known.necks)}, and necks describes none of them")
    return {"neck": own, **given, "options": options}


def _part_and_options(
    kind: type[_Spec], name: Any, given: Mapping[str, Any], place: str
) -> tuple[_Spec, Any]:
    """A part and the choices of all its options. Raises ValueError led by the place."""
    try:
        known = part(kind, name)
        return known, complete_options([known], given.get("options", {}))
    except (UserError, ValueError) as error:
        raise ValueError(f"{place}.{name}: {error}") from None
