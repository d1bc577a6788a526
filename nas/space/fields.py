"""Field types that search spaces and arch files share, and their one-line error messages."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from nas.documents import shown
from nas.errors import UserError
from nas.files import name_fault
from nas.space.necks import CONVOLUTIONS, NECK_TYPES
from nas.space.strides import STEM_STRIDES

BLOCK_OPTIONS: Mapping[str, Mapping[str, type]] = MappingProxyType(
    {
        "mbconv": {},
        "mbv3": {"squeeze_excite": bool},
        "fused_mbconv": {},
        "rep": {},
        "shuffle": {},
        "cspnext": {"attention": bool, "residual": bool, "spp": bool},
        "cspdark": {"residual": bool, "spp": bool},
    }
)
"""By block type, its options and what they are."""
FIXED_OF_BLOCKS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"rep": {"kernel": 3, "expansion": 1}, "shuffle": {"expansion": 1}, "cspdark": {"kernel": 3}}
)
"""By block type, what its blocks have no choice of, and the one value that every arch has in its place."""
ACTIVATIONS = ("relu", "relu6", "silu", "hardswish")
UPSAMPLERS = ("nearest", "nearest_dw", "bilinear", "deconv2x2", "deconv4x4")
CHANNEL_MULTIPLE = 8
LARGEST_SIDE = 16_384
"""Of an input, in pixels."""


def integer(test: Callable[[int], bool], description: str, *, most: int | None = None) -> BeforeValidator:
    """A validator for integers that pass a test, up to a largest one; never coerces."""

    def check(value: Any) -> int:
        if type(value) is not int or not test(value):
            raise ValueError(f"expected {description}, got {shown(value)}")
        if most is not None and value > most:
            raise ValueError(f"expected at most {most:,}, got {value:,}")
        return value

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


def _option(value: Any) -> int | float | str | bool:
    if not isinstance(value, int | float | str | bool):
        raise ValueError(f"expected a number, a string or a boolean, got {shown(value)}")
    return value


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, tuple):
        return value
    raise ValueError(f"expected a list, got {shown(value)}")


def _positive(value: int) -> bool:
    return value > 0


def _widths(value: int) -> bool:
    return value > 0 and value % CHANNEL_MULTIPLE == 0


def _odd(value: int) -> bool:
    return value > 0 and value % 2 == 1


Count = Annotated[int, integer(_positive, "a positive integer")]
Width = Annotated[int, integer(_widths, f"a positive multiple of {CHANNEL_MULTIPLE}", most=65_536)]
Side = Annotated[int, integer(_positive, "a positive integer", most=LARGEST_SIDE)]
Kernel = Annotated[int, integer(_odd, "a positive odd integer", most=63)]
Expansion = Annotated[int, integer(_positive, "a positive integer", most=64)]
Depth = Annotated[int, integer(_positive, "a positive integer", most=256)]
Coarser = Annotated[int, integer(lambda value: value >= 0, "a number of levels", most=4)]
Stride = Annotated[int, integer(lambda value: value in (1, 2), "a stride of 1 or 2")]
StemType = Annotated[str, one_of("stem type", STEM_STRIDES)]
BlockType = Annotated[str, one_of("block type", BLOCK_OPTIONS)]
Activation = Annotated[str, one_of("activation", ACTIVATIONS)]
Upsampler = Annotated[str, one_of("up-sampler", UPSAMPLERS)]
Convolution = Annotated[str, one_of("convolution", CONVOLUTIONS)]
NeckType = Annotated[str, one_of("neck", NECK_TYPES)]
Option = Annotated[int | float | str | bool, BeforeValidator(_option)]
AsTuple = BeforeValidator(_as_tuple)


class StrictModel(BaseModel):
    """A frozen, strict pydantic model that names unknown and missing keys together with the known ones."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise ValueError(f"expected a mapping, got {shown(data)}")
        known = {field.alias or name: field for name, field in cls.model_fields.items()}
        for key in data:
            if key not in known:
                raise ValueError(f"unknown {cls._noun()} {shown(key)}; known: {', '.join(known)}")
        for key, field in known.items():
            if field.is_required() and key not in data:
                raise ValueError(f"{key!r} is missing")
        return data

    @classmethod
    def _noun(cls) -> str:
        return "field"

    @classmethod
    def read(cls, data: Any, source: str) -> Self:
        """Validate plain data. Raises UserError `source: field: what is wrong` for the first fault."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{source}: {first_fault(error)}") from None


def first_fault(error: ValidationError) -> str:
    """The first fault of a pydantic error as `field: what is wrong`."""
    faults = error.errors(include_url=False)
    fault = faults[0]
    field = ".".join(str(part) for part in fault["loc"] if part != "[key]")[:200]
    reason = str(fault.get("ctx", {}).get("error", "")) or f"{fault['msg']}, got {shown(fault['input'])}"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{field}: {reason}{more}" if field else f"{reason}{more}"


def options_fault(types: Sequence[str], options: Mapping[str, Sequence[Any]]) -> str | None:
    """Why these choices of options are not those that stages of the types have; None where they are."""
    known = {name: kind for block_type in types for name, kind in BLOCK_OPTIONS[block_type].items()}
    if set(options) != set(known):
        return (
            f"options: block type {' or '.join(types)} has the options "
            f"{', '.join(sorted(known)) or 'none'}, got {', '.join(sorted(options)) or 'none'}"
        )
    for name, choices in options.items():
        for choice in choices:
            if type(choice) is not known[name]:
                return f"options.{name}: expected {known[name].__name__}, got {shown(choice)}"
    return None


def fixed_of_all(block_types: Collection[str], name: str) -> int | None:
    """The value of a block's `name` where none of the types has a choice of it; None where one has."""
    values = [FIXED_OF_BLOCKS.get(block_type, {}).get(name) for block_type in block_types]
    return None if None in values else values[0]


def fixed_fault(block_type: str, block: Mapping[str, int]) -> str | None:
    """Why a block's kernel and expansion are not those of its type; None where they are."""
    for name, value in FIXED_OF_BLOCKS.get(block_type, {}).items():
        if block[name] != value:
            return f"{name}: blocks of type {block_type!r} have {value} and no other, got {block[name]}"
    return None


def resolution_fault(resolution: tuple[int, int], stride: int) -> str | None:
    """Why an input size (h, w) does not fit a network of that coarsest stride; None where it does."""
    if any(side % stride for side in resolution):
        return f"{resolution[0]}x{resolution[1]} is not divisible by the network's coarsest stride {stride}"
    return None
