"""Augmentation: what is drawn for a sample, and how the drawn colours are applied."""

from dataclasses import dataclass
from typing import Annotated, Any, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from nas.arrays import Floats, Pixels
from nas.codecs import People
from nas.data.areas import AreaHistogram, TargetArea
from nas.data.mosaic import largest_tile
from nas.data.patches import Patch, Shape, cutout, drop
from nas.documents import shown
from nas.space.fields import AsTuple, StrictModel

PART_ZOOM = 2.0
"""A part of a person is enlarged at most this many times more than the whole person would be."""

LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in brightness (ITU-R BT.601)."""

MosaicSide = Annotated[int, Field(ge=2, le=4)]
Probability = Annotated[float, Field(ge=0, le=1)]


class AugmentConfig(StrictModel):
    """How much samples vary. Every default is "not at all"; `preset` gives the starting point.

    Args:
        preset: "none", "weak" (small data, short schedules), "strong" (large data, long schedules), or
            "rtmpose_strong" and "rtmpose_weak", RTMPose's first and last stage.
        scale: the content is enlarged by a factor drawn between these.
        rotation: largest angle in degrees, either way.
        rotated: probability that a sample is rotated at all.
        shift: largest shift, as a fraction of the input's sides.
        shifted: probability that a sample is shifted at all.
        flip: probability of mirroring.
        part: probability that a crop shows only a part of the person (half-body augmentation that need not
            know which joints make a half).
        brightness: largest change of brightness, as a fraction of white.
        contrast: largest relative change of contrast.
        saturation: largest relative change of the colours' distance from grey.
        tint: largest relative change of each channel.
        cutout: probability that a patch anywhere in the input is filled with the mean colour.
        cutout_size: smallest and largest side of that patch, as a fraction of the input's.
        information_dropping: probability, for each person, that one joint and what surrounds it is blanked.
        dropping_size: smallest and largest side of that patch, as a fraction of the longer side of the
            person's box.
        area_histogram: the areas that people should have in the input; takes the place of `scale`, except
            where a part of a person is shown.
        mosaic: probability that an input is put together from several samples (whole images only).
        mosaic_sides: tiles along each side of such an input, one of these numbers, drawn evenly.
        patch_shape: of cut-outs and dropping: "rectangle" (a square around a joint), "circle", or "either".
    """

    preset: str = "none"
    scale: Annotated[tuple[float, float], AsTuple] = (1.0, 1.0)
    rotation: float = Field(default=0.0, ge=0, le=180)
    rotated: Probability = 0.6
    shift: float = Field(default=0.0, ge=0, le=0.5)
    shifted: Probability = 1.0
    flip: Probability = 0.0
    part: Probability = 0.0
    brightness: Probability = 0.0
    contrast: float = Field(default=0.0, ge=0, lt=1)
    saturation: float = Field(default=0.0, ge=0, le=1)
    tint: float = Field(default=0.0, ge=0, lt=1)
    cutout: Probability = 0.0
    cutout_size: Annotated[tuple[Probability, Probability], AsTuple] = (0.1, 0.4)
    information_dropping: Probability = 0.0
    dropping_size: Annotated[tuple[Probability, Probability], AsTuple] = (0.15, 0.35)
    patch_shape: Shape = "rectangle"
    area_histogram: AreaHistogram | None = None
    mosaic: Probability = 0.0
    mosaic_sides: Annotated[tuple[MosaicSide, ...], AsTuple, Field(min_length=1)] = (2,)

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, data: Any) -> Any:
        """Let a bare name stand for a preset, and named fields change one."""
        if isinstance(data, str):
            data = {"preset": data}
        if not isinstance(data, dict):
            return data
        name = data.get("preset", "none")
        if not isinstance(name, str) or name not in PRESETS:
            raise ValueError(f"unknown preset {shown(name)}; known: {', '.join(PRESETS)}")
        return {**PRESETS[name], **data}

    @model_validator(mode="after")
    def _ranges_in_order(self) -> Self:
        for name in ("scale", "cutout_size", "dropping_size"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(
                    f"{name}: expected two positive numbers, the lower one first, got {[low, high]}"
                )
        return self

    @property
    def changes_colour(self) -> bool:
        """Whether any colour change can be drawn."""
        return bool(self.brightness or self.contrast or self.saturation or self.tint)

    @property
    def largest_tile(self) -> float:
        """The longest side of a mosaic's tile, as a fraction of the input's; 0 without mosaics."""
        return max(map(largest_tile, self.mosaic_sides)) if self.mosaic else 0.0

    def largest_zoom(self, *, crops: bool) -> float:
        """The strongest enlargement of the content over the unaugmented one; only crops show parts."""
        zoom = self.scale[1] * (PART_ZOOM if self.part and crops else 1.0)
        return zoom if self.area_histogram is None else max(zoom, self.area_histogram.zoom[1])


_RTMPOSE: dict[str, Any] = {
    "flip": 0.5,
    "part": 0.3,
    "brightness": 0.12,
    "saturation": 0.12,
    "tint": 0.05,
    "cutout_size": [0.2, 0.4],
}
"""What both stages of RTMPose's training have in common (Jiang et al. 2023)."""

PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "weak": {
        "scale": [0.75, 1.25],
        "rotation": 30.0,
        "shift": 0.05,
        "flip": 0.5,
        "brightness": 0.1,
        "contrast": 0.2,
        "saturation": 0.2,
        "tint": 0.1,
    },
    "strong": {
        "scale": [0.6, 1.4],
        "rotation": 80.0,
        "shift": 0.1,
        "flip": 0.5,
        "part": 0.3,
        "brightness": 0.15,
        "contrast": 0.3,
        "saturation": 0.4,
        "tint": 0.15,
        "cutout": 1.0,
    },
    # RTMPose scales the box by 0.6 to 1.4, and by 0.75 to 1.25 in the end: the person's scale is the inverse.
    "rtmpose_strong": {
        "scale": [0.71, 1.67],
        "rotation": 80.0,
        "shift": 0.16,
        "shifted": 0.3,
        **_RTMPOSE,
        "cutout": 1.0,
    },
    "rtmpose_weak": {"scale": [0.8, 1.33], "rotation": 60.0, **_RTMPOSE, "cutout": 0.5},
}

NO_AUGMENT = AugmentConfig()


@dataclass(frozen=True, slots=True)
class Variation:
    """What was drawn for one sample: see `AugmentConfig`, and `nas.codecs.affine.box_affine` for geometry.

    `colour` [3, 4] takes (red, green, blue, 1) to the new colour; `patch` is cut out; `part_anchor` in 0..1
    picks the joint around which a part is shown. `mosaic` is the number of tiles along each side of the
    input, 1 for no mosaic. `cover` in 0..1 enlarges a tile's sample: 0 shows all of it, 1 leaves no margin.
    `area` replaces the scale.
    """

    scale: float = 1.0
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: bool = False
    part_anchor: float | None = None
    colour: Floats | None = None
    patch: Patch | None = None
    mosaic: int = 1
    cover: float | None = None
    area: TargetArea | None = None


UNCHANGED = Variation()


def draw_variation(config: AugmentConfig, rng: np.random.Generator) -> Variation:
    """Draw one sample's variation; always consumes the same random numbers, whatever the configuration."""
    u = rng.random(26).tolist()
    smallest, largest = config.scale
    rotated, shift = u[1] < config.rotated, config.shift if u[20] < config.shifted else 0.0
    return Variation(
        scale=smallest + (largest - smallest) * u[0],
        rotation=config.rotation * _signed(u[2]) if rotated else 0.0,
        shift=(shift * _signed(u[3]), shift * _signed(u[4])),
        flip=u[5] < config.flip,
        part_anchor=u[7] if u[6] < config.part else None,
        colour=_colour(config, u[8:14]) if config.changes_colour else None,
        patch=cutout(config.cutout_size, config.patch_shape, u[15:20]) if u[14] < config.cutout else None,
        mosaic=config.mosaic_sides[int(u[22] * len(config.mosaic_sides))] if u[21] < config.mosaic else 1,
        area=_area(config, u[23:26]),
    )


def _area(config: AugmentConfig, u: list[float]) -> TargetArea | None:
    histogram = config.area_histogram
    return None if histogram is None else histogram.target(*u)


def _signed(uniform: float) -> float:
    return 2 * uniform - 1


def _colour(config: AugmentConfig, u: list[float]) -> Floats:
    """The colour change [3, 4]; contrast and tint pivot on middle grey."""
    contrast, colourful = 1 + config.contrast * _signed(u[0]), 1 + config.saturation * _signed(u[1])
    gain = [contrast * (1 + config.tint * _signed(value)) for value in u[3:6]]
    lift = 255 * config.brightness * _signed(u[2])
    rows = []
    for channel, factor in enumerate(gain):
        row = [factor * (1 - colourful) * weight for weight in LUMA]
        row[channel] += factor * colourful
        rows.append([*row, lift + 128 * (1 - factor)])
    return np.array(rows)


def change_colours(image: Pixels, variation: Variation) -> None:
    """Apply the colour change to an input [H, W, 3], in place."""
    if variation.colour is not None:
        image[:] = cv2.transform(image, variation.colour)


def dropped_patches(
    config: AugmentConfig, people: People, resolution: tuple[int, int], rng: np.random.Generator
) -> list[Patch]:
    """What information dropping hides of the people [P] of an input (h, w): see `nas.data.patches.drop`."""
    if not config.information_dropping:
        return []
    return drop(
        people,
        resolution,
        probability=config.information_dropping,
        size=config.dropping_size,
        shape=config.patch_shape,
        rng=rng,
    )


def part_box(keypoints: Floats, box: Floats, anchor: float) -> Floats:
    """The box of a part of a person: the half of the labelled joints that is nearest to one of them.

    Args:
        keypoints: [K, 3].
        box: [4] x0, y0, x1, y1, the whole person.
        anchor: 0..1, picks the joint.

    Returns:
        [4], at least 1 / PART_ZOOM of the whole box along each axis; the whole box for fewer than 6 joints.
    """
    labelled = keypoints[keypoints[:, 2] > 0, :2]
    if len(labelled) < 6:
        return box
    centre = labelled[int(anchor * len(labelled))]
    nearest = np.argsort(((labelled - centre) ** 2).sum(1), kind="stable")[: (len(labelled) + 1) // 2]
    low, high = labelled[nearest].min(0), labelled[nearest].max(0)
    extent = np.maximum(high - low, (box[2:] - box[:2]) / PART_ZOOM)
    middle = (low + high) / 2
    return np.concatenate([middle - extent / 2, middle + extent / 2])
