"""What the ONNX file of a network says about itself, and whether its graph agrees."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nas.codecs.affine import PADDING
from nas.codecs.build import codec_of
from nas.codecs.confidence import SCORE_SCALE
from nas.documents import Fields, parse_json, shown
from nas.errors import UserError
from nas.space.parts import part
from nas.space.specs import HeadSpec, Task

if TYPE_CHECKING:  # pydantic, which reads them, loads when a file is opened
    from nas.space.arch import Arch
    from nas.space.skeleton import Skeleton

METADATA_KEY = "nas"
METADATA_VERSION = 1

POSES = frozenset({"keypoints", "scores"})
"""The outputs of a network that gives poses, and maybe `boxes`; others give candidates, grouped outside."""

_SMALLEST_STD, _LARGEST = 1e-4, 1e4
"""Of the constants that inputs are normalised by; pixels are numbers from 0 to 1 then."""
_SMALLEST_PADDING = 1e-2
_MOST_NUMBERS = 2**28
"""Of an output."""
_FLOATS, _BYTES = "tensor(float)", "tensor(uint8)"

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ExportedNetwork:
    """A network as its ONNX file describes it.

    Args:
        arch: what it is.
        skeleton: what it finds.
        mean, std: of the three channels, RGB from 0 to 1, by which its input is normalised.
        scored: whether its head measures how sure it is.
        padding: how much boxes are grown before it sees them, where it sees crops.
        score_scale: the version of what scores mean; 0 of files that were written before there was one.
        batch: images of one run; None for any number.
        pixels: whether it takes RGB bytes [B, H, W, 3] and normalises them itself; else it takes normalised
            floats [B, 3, H, W].
    """

    arch: "Arch"
    skeleton: "Skeleton"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scored: bool = True
    padding: float = PADDING
    score_scale: int = 0
    batch: int | None = 1
    pixels: bool = False

    @classmethod
    def of(cls, session: Any, source: str) -> Self | None:
        """What an onnxruntime session's file says; None where it says nothing.

        Args:
            session: open.
            source: what messages call the file.

        Raises:
            UserError: what it says cannot be read, or its graph is another; names the field.
        """
        text = _text(session, source)
        if text is None:
            return None
        inputs = session.get_inputs()
        network = replace(
            cls.parse(text, f"{source}: metadata"),
            batch=_batch(inputs),
            pixels=[node.type for node in inputs] == [_BYTES],
        )
        network.require_fit(
            {node.name: _shape(node, source, types=(_FLOATS, _BYTES)) for node in inputs},
            {node.name: _shape(node, source) for node in session.get_outputs()},
            source=source,
        )
        return network

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """The network of a file's metadata. Raises UserError `source.field: what is wrong`."""
        from nas.space.arch import Arch
        from nas.space.skeleton import Skeleton

        fields = Fields(parse_json(text, source), source)
        version = fields.integer("version")
        if version != METADATA_VERSION:
            raise UserError(f"{source}: its format is {version}, not {METADATA_VERSION}: export it anew")
        scale = fields.integer("score_scale") if "score_scale" in fields.names else 0
        if scale > SCORE_SCALE:
            raise UserError(f"{source}: its scores have scale {scale}, not {SCORE_SCALE}: export it anew")
        return cls(
            arch=Arch.from_json(fields.mapping("arch"), source=f"{source}.arch"),
            skeleton=Skeleton.from_json(fields.mapping("skeleton"), source=f"{source}.skeleton"),
            mean=_constants(fields, "mean", least=-_LARGEST),
            std=_constants(fields, "std", least=_SMALLEST_STD),
            scored=fields.flag("scored") if "scored" in fields.names else True,
            padding=padding_of(fields),
            score_scale=scale,
        )

    @property
    def task(self) -> Task:
        """What an input shows."""
        return part(HeadSpec, self.arch.head.type).task

    def require_fit(self, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], *, source: str) -> None:
        """Raise UserError where inputs and outputs of these shapes are not those of such a network.

        Args:
            inputs, outputs: by name, with the batch axis, which is 1 where it is open.
            source: what messages call the file.
        """
        batch = 1 if self.batch is None else self.batch
        height, width = self.arch.resolution
        wanted = (batch, height, width, 3) if self.pixels else (batch, 3, height, width)
        if list(inputs.values()) != [wanted]:
            raise UserError(
                f"{source}: metadata.arch.resolution: does not fit the graph: its input must be "
                f"{_told([wanted])}, it is {_told(inputs.values())}"
            )
        for name, shape in outputs.items():
            if shape[:1] != (batch,) or prod(shape) > _MOST_NUMBERS:
                raise UserError(f"{source}: its output {shown(name)} is {_told([shape])}: export it anew")
        self._require_groups({name: shape[1:] for name, shape in outputs.items()}, source)

    def _require_groups(self, shapes: Mapping[str, Shape], source: str) -> None:
        """Refuse outputs (no batch axis) that the head's codec cannot group into the skeleton's poses."""
        codec = codec_of(self.arch, self.skeleton)
        empty = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        try:
            counts = {codec.group(empty).keypoints.shape[1]}
            counts |= {shapes[name][axis] for name, axis in _JOINT_AXES if name in shapes}
        except UserError:
            raise
        # Whatever a codec, or that of an outside package, may raise over arrays of other names and shapes.
        except Exception as error:
            found = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise UserError(
                f"{source}: metadata.arch.head: does not fit the graph: its outputs {found} are not those of "
                f"head {self.arch.head.type!r} ({type(error).__name__}: {error})"
            ) from None
        joints = len(self.skeleton)
        if counts != {joints}:
            raise UserError(
                f"{source}: metadata.skeleton: does not fit the graph: it has {joints} keypoints, the "
                f"outputs are of {', '.join(map(str, sorted(counts - {joints})))}"
            )
        limbs = len(getattr(codec, "limbs", ()))
        if limbs and shapes.get("affinities", (limbs,))[0] != limbs:
            raise UserError(
                f"{source}: metadata.skeleton.limbs: do not fit the graph: there are {limbs}, the outputs "
                f"are of {shapes['affinities'][0]}"
            )


def padding_of(fields: Fields) -> float:
    """How much boxes are grown, as a file says it; as always where it was written before they said so.

    Raises:
        UserError: it is no padding.
    """
    if "padding" not in fields.names:
        return PADDING
    return fields.number("padding", least=_SMALLEST_PADDING)


_JOINT_AXES = (("keypoints", -2), ("candidates", 0))


def _text(session: Any, source: str) -> str | None:
    try:
        text: str | None = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    except UnicodeDecodeError:
        raise UserError(f"{source}: metadata: not UTF-8 text") from None
    return text


def _batch(inputs: Sequence[Any]) -> int | None:
    """The images of one run: the first axis of the input; None where it is open."""
    first = inputs[0].shape[0] if inputs and inputs[0].shape else 1
    return max(first, 1) if isinstance(first, int) else None


def _shape(node: Any, source: str, *, types: Collection[str] = (_FLOATS,)) -> Shape:
    """The sizes of an input or output; an open first axis, the batch, is 1."""
    sizes = [1 if axis == 0 and not isinstance(size, int) else size for axis, size in enumerate(node.shape)]
    if node.type not in types or not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise UserError(
            f"{source}: {shown(node.name)} is a {node.type} of the sizes {shown(node.shape)}; a network of "
            "this project has floats (or bytes, for its input) of fixed sizes: export it anew"
        )
    return tuple(sizes)


def _constants(fields: Fields, name: str, *, least: float) -> tuple[float, ...]:
    values = fields.numbers(name, least=least, count=3)
    if max(values) > _LARGEST:
        raise UserError(f"{fields.place}.{name}: expected numbers up to {_LARGEST:g}, got {shown(values)}")
    return values


def _told(shapes: Any) -> str:
    return " and ".join(" x ".join(map(str, shape)) or "a single number" for shape in shapes) or "nothing"
