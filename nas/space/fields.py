"""Field types that search spaces and arch files share, and their one-line error messages."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import partial
from sys import maxsize
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from nas.documents import shown
from nas.errors import UserError
from nas.files import name_fault
from nas.space.parts import find, names
from nas.space.specs import BlockSpec, NeckSpec, OptionValue, PartSpec, StemSpec, UpsamplerSpec

_Value = TypeVar("_Value")

ACTIVATIONS = ("relu", "relu6", "silu", "hardswish")
CONVOLUTIONS = ("separable", "dense")
"""How a pyramid's 3x3 convolutions are made: 3x3 depthwise and 1x1, or dense."""
CHANNEL_MULTIPLE = 8
_WIDTHS = range(CHANNEL_MULTIPLE, 65_537, CHANNEL_MULTIPLE)
LARGEST_SIDE = 16_384
"""Of an input, in pixels."""


def integer(description: str, within: range) -> BeforeValidator:
    """A validator for integers; never coerces."""

    def check(value: Any) -> int:
        if type(value) is int and value in within:
            return value
        if type(value) is int and value > within[-1]:
            raise ValueError(f"expected at most {within[-1]:,}, got {value:,}")
        raise ValueError(f"expected {description}, got {shown(value)}")

    return BeforeValidator(check)


def _file_name(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(fault)
    return name


FileName = Annotated[str, AfterValidator(_file_name)]
"""A name that becomes that of a file or folder."""


def one_of(noun: str, names: Collection[str]) -> BeforeValidator:
    """A validator for a name out of a fixed vocabulary."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"unknown {noun} {shown(value)}; known: {', '.join(names)}")
        return value

    return BeforeValidator(check)


def name_of(kind: type[PartSpec]) -> BeforeValidator:
    """A validator for the name of a part, which an installed package may bring."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or find(kind, value) is None:
            raise ValueError(f"unknown {kind.noun} {shown(value)}; known: {', '.join(names(kind))}")
        return value

    return BeforeValidator(check)


def _option(value: Any) -> OptionValue:
    if not isinstance(value, int | float | str | bool):
        raise ValueError(f"expected a number, a string or a boolean, got {shown(value)}")
    return value


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, tuple):
        return value
    raise ValueError(f"expected a list, got {shown(value)}")


Count = Annotated[int, integer("a positive integer", range(1, maxsize))]
Width = Annotated[int, integer(f"a positive multiple of {CHANNEL_MULTIPLE}", _WIDTHS)]
Side = Annotated[int, integer("a positive integer", range(1, LARGEST_SIDE + 1))]
Kernel = Annotated[int, integer("a positive odd integer", range(1, 64, 2))]
Expansion = Annotated[int, integer("a positive integer", range(1, 65))]
Depth = Annotated[int, integer("a positive integer", range(1, 257))]
Coarser = Annotated[int, integer("a number of levels", range(5))]
Stride = Annotated[int, integer("a stride of 1 or 2", range(1, 3))]
StemType = Annotated[str, name_of(StemSpec)]
BlockType = Annotated[str, name_of(BlockSpec)]
Activation = Annotated[str, one_of("activation", ACTIVATIONS)]
Upsampler = Annotated[str, name_of(UpsamplerSpec)]
Convolution = Annotated[str, one_of("convolution", CONVOLUTIONS)]
NeckType = Annotated[str, name_of(NeckSpec)]
Option = Annotated[OptionValue, BeforeValidator(_option)]
AsTuple = BeforeValidator(_as_tuple)


def check_keys(data: Any, known: Mapping[str, bool], noun: str = "field") -> Mapping[str, Any]:
    """The data, a mapping of known keys, those that are required (True) among them. Raises ValueError."""
    if not isinstance(data, Mapping):
        raise ValueError(f"expected a mapping, got {shown(data)}")
    for key in data:
        if key not in known:
            raise ValueError(f"unknown {noun} {shown(key)}; known: {', '.join(known)}")
    for key, required in known.items():
        if required and key not in data:
            raise ValueError(f"{key!r} is missing")
    return data


def keys_of(kind: type[Any]) -> dict[str, bool]:
    """The fields of a dataclass, and whether each is required."""
    return {field.name: field.default is field.default_factory for field in fields(kind)}  # both MISSING


def mapped(kind: type[Any]) -> BeforeValidator:
    """A validator for plain data of a dataclass: a mapping of its fields."""
    return BeforeValidator(partial(check_keys, known=keys_of(kind)))


def validated(validate: Callable[[Any], _Value], data: Any, source: str) -> _Value:
    """What plain data say. Raises UserError `source: field: what is wrong` for the first fault."""
    try:
        return validate(data)
    except ValidationError as error:
        raise UserError(f"{source}: {first_fault(error)}") from None


class StrictModel(BaseModel):
    """A frozen, strict pydantic model that names unknown and missing keys together with the known ones."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        known = {field.alias or name: field.is_required() for name, field in cls.model_fields.items()}
        return check_keys(data, known, cls._noun())

    @classmethod
    def _noun(cls) -> str:
        return "field"

    @classmethod
    def read(cls, data: Any, source: str) -> Self:
        """Validate plain data. Raises UserError `source: field: what is wrong` for the first fault."""
        return validated(cls.model_validate, data, source)


def first_fault(error: ValidationError) -> str:
    """The first fault of a pydantic error as `field: what is wrong`."""
    faults = error.errors(include_url=False)
    fault = faults[0]
    field = ".".join(str(part) for part in fault["loc"] if part != "[key]")[:200]
    reason = str(fault.get("ctx", {}).get("error", "")) or f"{fault['msg']}, got {shown(fault['input'])}"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{field}: {reason}{more}" if field else f"{reason}{more}"


def resolution_fault(resolution: tuple[int, int], stride: int) -> str | None:
    """Why an input size (h, w) does not fit a network of that coarsest stride; None where it does."""
    if any(side % stride for side in resolution):
        return f"{resolution[0]}x{resolution[1]} is not divisible by the network's coarsest stride {stride}"
    return None
