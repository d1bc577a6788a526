"""What people wear: colours, patterns, cuts, hair."""

import colorsys
from dataclasses import dataclass

import numpy as np

from nas.arrays import Floats

# Skin from light to dark and hair colours, RGB.
_SKIN = np.array(
    [
        (244, 208, 177),
        (236, 188, 150),
        (222, 168, 128),
        (198, 140, 100),
        (168, 114, 76),
        (134, 88, 58),
        (104, 68, 46),
    ],
    dtype=np.float64,
)
_HAIR = np.array(
    [(28, 22, 20), (52, 36, 26), (92, 60, 36), (140, 92, 48), (208, 168, 96), (172, 76, 36), (150, 148, 146)],
    dtype=np.float64,
)
_PATTERNS = ("plain", "rings", "stripes", "checks", "patches")
_PATTERN_SHARES = (0.5, 0.18, 0.1, 0.12, 0.1)
HAIR_STYLES = ("short", "short", "short", "long", "long", "bun", "bald", "cap", "hood")
TOP_FRONTS = ("none", "print", "buttons", "zip", "open", "pocket", "tie")


@dataclass(frozen=True)
class Cloth:
    """A fabric.

    Args:
        colours: [2, 3] RGB 0..255, ground and figure.
        pattern: one of plain, rings, stripes, checks, patches.
        period: of the pattern (m).
        seed: of the patches.
    """

    colours: Floats
    pattern: str = "plain"
    period: float = 0.1
    seed: int = 0

    @classmethod
    def sample(cls, rng: np.random.Generator, *, dark: float = 0.3) -> "Cloth":
        """A fabric; `dark` is the probability of a dark ground."""
        ground = _fabric_colour(rng, dark=rng.random() < dark)
        figure = _fabric_colour(rng, dark=bool(ground.mean() > 130 and rng.random() < 0.6))
        pattern = str(rng.choice(_PATTERNS, p=_PATTERN_SHARES))
        return cls(np.stack([ground, figure]), pattern, rng.uniform(0.09, 0.17), int(rng.integers(2**31)))

    def paint(self, level: Floats, angle: Floats) -> Floats:
        """[K, N, 3] colours of quads at the levels [K] (m along the part) and angles [N] (radians)."""
        ring = (level / self.period % 1.0 < 0.5)[:, None]
        side = (np.floor(angle * 3 / np.pi) % 2 < 1)[None, :]
        if self.pattern == "rings":
            figure = ring & np.ones_like(side)
        elif self.pattern == "stripes":
            figure = side & np.ones_like(ring)
        elif self.pattern == "checks":
            figure = ring ^ side
        elif self.pattern == "patches":
            figure = np.random.default_rng(self.seed).random((len(level), len(angle))) < 0.35
        else:
            figure = np.zeros((len(level), len(angle)), dtype=bool)
        return np.asarray(self.colours[figure.astype(int)])


@dataclass(frozen=True)
class Outfit:
    """Everything visible of a person that is not shape.

    Args:
        skin, hair, shoes: RGB 0..255.
        top, bottom: fabrics of what covers trunk and legs.
        sleeves: how far sleeves reach: 0 none, 1 elbow, 2 wrist.
        legs: how far trousers reach: 0 none, 1 knee, 2 ankle.
        skirt: how far a skirt reaches, as `legs`; 0 none.
        hem: where the top ends above the hips (m).
        loose: how far cloth stands off (m).
        hair_style: one of HAIR_STYLES.
        top_front: what distinguishes the front of the top, one of TOP_FRONTS.
        beard, glasses, backpack, gloves: whether worn.
        accent: RGB of prints, caps and bags.
    """

    skin: Floats
    hair: Floats
    shoes: Floats
    accent: Floats
    top: Cloth
    bottom: Cloth
    sleeves: float
    legs: float
    skirt: float
    hem: float
    loose: float
    hair_style: str
    top_front: str
    beard: bool
    glasses: bool
    backpack: bool
    gloves: bool

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Outfit":
        """Clothes for any weather."""
        tone = rng.uniform(0, len(_SKIN) - 1)
        skin = _between(_SKIN, tone)
        hair = _between(_HAIR, rng.uniform(0, len(_HAIR) - 1) if tone < 3.5 else rng.uniform(0, 1.2))
        skirted = rng.random() < 0.16
        top = Cloth.sample(rng)
        one_piece = rng.random() < (0.5 if skirted else 0.06)
        bottom = top if one_piece else Cloth.sample(rng, dark=0.5)
        if not skirted and not one_piece and rng.random() < 0.7:
            bottom = Cloth(bottom.colours)
        style = str(rng.choice(HAIR_STYLES))
        return cls(
            skin=skin,
            hair=hair,
            shoes=_fabric_colour(rng, dark=rng.random() < 0.5),
            accent=_fabric_colour(rng, dark=False),
            top=top,
            bottom=bottom,
            sleeves=float(rng.choice([0.0, 0.45, 0.6, 1.2, 1.95], p=[0.14, 0.22, 0.14, 0.1, 0.4])),
            legs=0.0 if skirted else float(rng.choice([0.3, 0.75, 1.3, 1.95], p=[0.1, 0.22, 0.08, 0.6])),
            skirt=float(rng.choice([0.55, 0.9, 1.4])) if skirted else 0.0,
            hem=rng.uniform(-0.06, 0.1),
            loose=rng.uniform(0.004, 0.022),
            hair_style=style,
            top_front=str(rng.choice(TOP_FRONTS)),
            beard=style != "long" and rng.random() < 0.18,
            glasses=rng.random() < 0.12,
            backpack=rng.random() < 0.1,
            gloves=rng.random() < 0.04,
        )


def _between(palette: Floats, place: float) -> Floats:
    low = int(min(place, len(palette) - 2))
    return np.asarray(palette[low] + (place - low) * (palette[low + 1] - palette[low]))


def _fabric_colour(rng: np.random.Generator, *, dark: bool) -> Floats:
    value = rng.uniform(0.12, 0.38) if dark else rng.uniform(0.45, 0.98)
    grey = rng.random() < 0.22
    saturation = rng.uniform(0.0, 0.12) if grey else rng.uniform(0.3, 0.95)
    return 255 * np.array(colorsys.hsv_to_rgb(rng.random(), saturation, value))
