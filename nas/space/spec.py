"""The schema of search-space files: what may vary, as ordered lists of choices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from nas.documents import read_yaml, shown
from nas.errors import UserError
from nas.space.arch import Arch, Neck, Stage
from nas.space.choices import Listed, SpaceModel, choices_of
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
from nas.space.heads import Task, complete_options, head_spec
from nas.space.necks import NECK_KINDS, field_fault, neck_fault, neck_strides
from nas.space.stages import StageSpec
from nas.space.strides import total_stride


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


class StemSpec(SpaceModel):
    """The layers before the first stage."""

    type: StemType = "separable"
    widths: Annotated[tuple[Width, ...], Listed] = Field(alias="width")
    activations: Annotated[tuple[Activation, ...], Listed] = Field(alias="activation")


class NeckSpec(SpaceModel):
    """What joins the stages' features: one list of widths per level; see `Neck`."""

    upsamplers: Annotated[tuple[Upsampler, ...], Listed] = Field(alias="upsampler", default=())
    widths: Annotated[tuple[Annotated[tuple[Width, ...], Listed], ...], AsTuple] = ()
    convolutions: Annotated[tuple[Convolution, ...], Listed] = Field(alias="convolution", default=())
    coarser: Coarser = 0

    @property
    def fields(self) -> tuple[str, ...]:
        """Which of the fields that depend on the neck's type are given."""
        given = {"upsampler": self.upsamplers, "convolution": self.convolutions}
        return tuple(name for name, choices in given.items() if choices)


class HeadChoices(SpaceModel):
    """The necks that a head may stand on, and the choices of its options."""

    necks: Annotated[tuple[NeckType, ...], Listed] = Field(alias="neck")
    options: dict[str, Annotated[tuple[Option, ...], Listed]] = Field(default_factory=dict)


class SpaceSpec(SpaceModel):
    """A whole search space. Lists run from cheap to expensive: the last choice makes the larger network."""

    name: str = Field(min_length=1)
    task: Task
    resolutions: Annotated[tuple[tuple[int, int], ...], BeforeValidator(_resolutions)] = Field(
        alias="resolution"
    )
    stem: StemSpec
    stages: Annotated[tuple[StageSpec, ...], AsTuple, Field(min_length=1)]
    necks: dict[NeckType, NeckSpec]
    heads: dict[str, HeadChoices] = Field(min_length=1)
    published: Annotated[tuple[str, ...], AsTuple] = ()

    @property
    def total_stride(self) -> int:
        """Input pixels per cell of the last stage."""
        return total_stride(self.stem.type, [stage.stride for stage in self.stages])

    @model_validator(mode="before")
    @classmethod
    def _complete_heads(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("heads"), Mapping):
            return data
        necks = data["necks"] if isinstance(data.get("necks"), Mapping) else {}
        heads = {name: _complete_head(name, given, necks) for name, given in data["heads"].items()}
        return {**data, "heads": heads}

    @model_validator(mode="before")
    @classmethod
    def _complete_necks(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("necks"), Mapping):
            return data
        return {**data, "necks": {name: _complete_neck(name, given) for name, given in data["necks"].items()}}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for fault in (*self._shape_faults(), *self._head_faults()):
            raise ValueError(fault)
        return self

    def _shape_faults(self) -> list[str]:
        faults = []
        stride = self.total_stride
        for name, neck in self.necks.items():
            shape = {"widths": len(neck.widths), "coarser": neck.coarser, "total_stride": stride}
            for fault in (field_fault(name, neck.fields), neck_fault(name, **shape)):
                if fault is not None:
                    faults.append(f"necks.{name}.{fault}")
        coarsest = stride * 2 ** max((neck.coarser for neck in self.necks.values()), default=0)
        for resolution in self.resolutions:
            if fault := resolution_fault(resolution, coarsest):
                faults.append(f"resolution: {fault}")
        return faults

    def strides(self, neck: str) -> tuple[int, ...]:
        """The strides (px) of the maps that one of the necks gives, coarsest first."""
        spec = self.necks[neck]
        return neck_strides(
            neck, widths=len(spec.widths), coarser=spec.coarser, total_stride=self.total_stride
        )

    def _head_faults(self) -> list[str]:
        faults = []
        for name, head in self.heads.items():
            known = head_spec(name)
            if known.task != self.task:
                faults.append(f"heads.{name}: is a head for the task {known.task!r}, not {self.task!r}")
            for neck in head.necks:
                if neck not in self.necks:
                    faults.append(f"heads.{name}.neck: {neck!r} is not described under necks")
                    continue
                if fault := known.neck_fault(neck, self.strides(neck)):
                    faults.append(f"heads.{name}.neck: {fault}")
        used = {neck for head in self.heads.values() for neck in head.necks}
        faults += [f"necks.{name}: no head stands on it" for name in self.necks if name not in used]
        return faults

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
        data = {
            "name": f"arch-{arch.id}",
            "task": head_spec(arch.head.type).task,
            "resolution": [arch.resolution],
            "stem": {"type": arch.stem.type, "width": arch.stem.width, "activation": arch.stem.activation},
            "stages": [_stage_of(stage) for stage in arch.stages],
            "necks": {arch.neck.type: _neck_of(arch.neck)},
            "heads": {arch.head.type: {"neck": arch.neck.type, "options": dict(arch.head.options)}},
        }
        return cls.read(data, f"arch {arch.id}")


def _stage_of(stage: Stage) -> dict[str, Any]:
    return {
        "type": stage.type,
        "activation": stage.activation,
        "stride": stage.stride,
        "width": stage.width,
        "depth": stage.depth,
        "blocks": [block.to_json() for block in stage.blocks],
        "options": dict(stage.options),
    }


def _neck_of(neck: Neck) -> dict[str, Any]:
    fields = {"upsampler": neck.upsampler, "convolution": neck.convolution}
    given = {name: value for name, value in fields.items() if value is not None}
    return {**given, "widths": list(neck.widths), "coarser": neck.coarser}


def _complete_neck(name: Any, given: Any) -> Any:
    """What a neck leaves out: the defaults of its kind."""
    if not isinstance(given, Mapping) or not isinstance(name, str) or name not in NECK_KINDS:
        return given
    defaults = NECK_KINDS[name].fields
    return {**{field: value for field, value in defaults.items() if value is not None}, **given}


def _complete_head(name: Any, given: Any, necks: Mapping[str, Any]) -> Any:
    """What a head leaves out: its necks among those described, its options' defaults."""
    if not isinstance(given, Mapping):
        return given
    try:
        known = head_spec(name)
        options = given.get("options", {})
        if isinstance(options, Mapping):
            options = {option: choices_of(choices) for option, choices in options.items()}
            for option, choices in options.items():
                for choice in choices:
                    complete_options(name, {option: choice})
            options = {**known.options, **options}
    except UserError as error:
        raise ValueError(f"heads.{name}: {error}") from None
    own = [neck for neck in necks if neck in known.necks]
    if not own and "neck" not in given:
        raise ValueError(f"heads.{name}: takes {' or '.join(known.necks)}, and necks describes none of them")
    return {"neck": own, **given, "options": options}
