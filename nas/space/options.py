"""Options of the parts of an arch, whose types are described in `nas.space.parts`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, GetPydanticSchema, WrapValidator

from nas.errors import UserError
from nas.space.fields import Option, check_keys, keys_of
from nas.space.parts import find, part
from nas.space.specs import OptionValue, VariedSpec


def freeze_options(options: Mapping[str, OptionValue]) -> tuple[tuple[str, OptionValue], ...]:
    """Options as a sorted, hashable tuple of pairs."""
    return tuple(sorted(options.items()))


Options = Annotated[
    tuple[tuple[str, OptionValue], ...],
    GetPydanticSchema(lambda _, read: read(Annotated[dict[str, Option], AfterValidator(freeze_options)])),
]
"""Sorted pairs of name and value; a mapping in files."""


class HasOptions:
    """What all parts have whose types are described in `nas.space.parts`."""

    kind: ClassVar[type[VariedSpec]]
    type: str
    options: Options

    def option(self, name: str) -> OptionValue:
        """The value of one option. Raises KeyError where the part has no such option."""
        return dict(self.options)[name]

    def fault(self) -> str | None:
        """Why fields do not go together that are right each by itself; None where they do."""
        return None

    def options_to_json(self) -> dict[str, Any]:
        """The options that a file has to name, where there are any."""
        if not self.options:
            return {}
        spec, options = find(self.kind, self.type), dict(self.options)
        written = options if spec is None else spec.written(options)
        return {"options": written} if written else {}


_Part = TypeVar("_Part", bound=HasOptions)


def read_as(kind: type[_Part]) -> WrapValidator:
    """How files are read that describe such a part: options that they leave out take their defaults."""
    known = keys_of(kind)

    def read(data: Any, read_fields: Callable[[Any], Any]) -> Any:
        value = read_fields(check_keys(data, known))
        if fault := value.fault():
            raise ValueError(fault)
        try:
            options = part(kind.kind, value.type).complete(dict(value.options))
        except UserError as error:
            raise ValueError(str(error)) from None
        return replace(value, options=freeze_options(options))

    return WrapValidator(read)
