"""Cluttered backgrounds: rooms, streets, meadows, sheer texture, furniture, things like limbs."""

import cv2
import numpy as np

from nas.arrays import Floats, Pixels

_WOODS = np.array([(150, 110, 70), (110, 76, 48), (186, 150, 104), (90, 84, 80)], dtype=np.float64)
_GROUNDS = np.array(
    [(92, 128, 62), (176, 158, 120), (112, 112, 116), (70, 96, 60), (196, 196, 200)], dtype=np.float64
)
_FLESH = np.array([(228, 180, 146), (186, 130, 96), (110, 74, 52)], dtype=np.float64)


def sample_backdrop(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """[H, W, 3] RGB of a scene without people."""
    kind = rng.choice(["room", "outdoors", "texture", "plain"], p=[0.35, 0.35, 0.2, 0.1])
    if kind == "room":
        image = _room(size, rng)
    elif kind == "outdoors":
        image = _outdoors(size, rng)
    else:
        base = muted(rng, 50, 220) + rng.normal(0, 38, (2, 2, 3))
        image = _gradient(size, base.clip(0, 255))
    _speckle(image, rng, strength=rng.uniform(40, 95) if kind == "texture" else rng.uniform(4, 30))
    for _ in range(int(rng.integers(0, 5))):
        _block(image, rng)
    for _ in range(int(rng.integers(0, 5))):
        _distractor(image, rng)
    if rng.random() < 0.4:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 2.5))
    return image


def muted(rng: np.random.Generator, low: float = 30, high: float = 225) -> Floats:
    """[3] a colour that is rather grey."""
    return np.asarray(np.clip(rng.uniform(low, high) + rng.normal(0, 22, 3), 0, 255))


def _gradient(size: tuple[int, int], corners: Floats) -> Pixels:
    h, w = size
    smooth = cv2.resize(corners.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth).astype(np.uint8)


def _room(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    h, w = size
    wall = muted(rng, 70, 230)
    image = _gradient(size, wall + rng.normal(0, 14, (2, 2, 1)).repeat(3, axis=2).clip(-30, 25))
    pattern, other = rng.random(), tuple((wall * rng.uniform(0.75, 0.92)).tolist())
    step = int(rng.integers(12, 40))
    if pattern < 0.3:
        for x in range(int(rng.integers(step)), w, 2 * step):
            cv2.rectangle(image, (x, 0), (x + step, h), other, cv2.FILLED)
    elif pattern < 0.5:
        for row, y in enumerate(range(0, h, step)):
            cv2.line(image, (0, y), (w, y), other, 1)
            for x in range(step * (row % 2), w, 2 * step):
                cv2.line(image, (x, y), (x, y + step), other, 1)
    horizon = int(h * rng.uniform(0.5, 0.92))
    floor = _WOODS[rng.integers(len(_WOODS))] * rng.uniform(0.7, 1.2)
    cv2.rectangle(image, (0, horizon), (w, h), _tuple(floor), cv2.FILLED)
    vanishing = rng.uniform(0, w)
    for plank in np.linspace(-w, 2 * w, int(rng.integers(8, 26))):
        start = (int(vanishing + 0.45 * (plank - vanishing)), horizon)
        cv2.line(image, start, (int(plank), h), _tuple(0.82 * floor), 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 3))):
        left, top = rng.uniform(0, w), rng.uniform(0, 0.5 * h)
        span = rng.uniform(0.1, 0.3, 2) * h
        _frame(image, (left, top), (left + span[0], top + span[1]), rng)
    return image


def _outdoors(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    h, w = size
    sky = np.array([rng.uniform(120, 210), rng.uniform(160, 220), rng.uniform(190, 245)])
    image = _gradient(size, np.stack([np.stack([0.85 * sky] * 2), np.stack([sky * 1.02] * 2)]).clip(0, 255))
    horizon = int(h * rng.uniform(0.35, 0.8))
    for _ in range(int(rng.integers(0, 5))):
        x, width, top = rng.uniform(-30, w), rng.uniform(30, 110), rng.uniform(0, horizon)
        cv2.rectangle(
            image, (int(x), int(top)), (int(x + width), horizon), _tuple(muted(rng, 60, 200)), cv2.FILLED
        )
        pane, shade = int(rng.integers(5, 10)), _tuple(muted(rng, 30, 130))
        for wx in range(int(x) + 5, int(x + width) - pane, 2 * pane):
            for wy in range(int(top) + 5, horizon - pane, 2 * pane):
                cv2.rectangle(image, (wx, wy), (wx + pane - 2, wy + pane), shade, cv2.FILLED)
    ground = _GROUNDS[rng.integers(len(_GROUNDS))] * rng.uniform(0.75, 1.2)
    cv2.rectangle(image, (0, horizon), (w, h), _tuple(ground), cv2.FILLED)
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(0, w)
        trunk = rng.uniform(3, 11)
        cv2.line(image, (int(x), horizon + 8), (int(x), 0), _tuple(_WOODS[1] * 0.8), int(trunk), cv2.LINE_AA)
        for _ in range(7):
            centre = (int(x + rng.normal(0, 26)), int(rng.uniform(0, 0.6 * horizon)))
            leaf = np.array([60.0, 96, 44]) * rng.uniform(0.6, 1.5)
            cv2.circle(image, centre, int(rng.integers(8, 26)), _tuple(leaf), cv2.FILLED, cv2.LINE_AA)
    return image


def _speckle(image: Pixels, rng: np.random.Generator, *, strength: float) -> None:
    """Texture of two scales, added in place."""
    h, w = image.shape[:2]
    coarse = rng.integers(0, 256, (int(h / rng.uniform(12, 40)) + 2, int(w / rng.uniform(12, 40)) + 2, 3))
    fine = rng.integers(0, 256, (h // 3, w // 3, 1)).repeat(3, axis=2)
    tinted = (rng.uniform(0, 0.6) * coarse + coarse[:, :, :1]) / 1.6
    for noise, share in ((tinted, 0.6), (fine, 0.4)):
        grown = cv2.resize(noise.astype(np.uint8), (w, h), interpolation=cv2.INTER_CUBIC)
        weight = share * strength / 128
        cv2.addWeighted(image, 1.0, grown, weight, -128 * weight, dst=image)


def _block(image: Pixels, rng: np.random.Generator) -> None:
    """A box with three faces: a cupboard, crate or table."""
    h, w = image.shape[:2]
    x, y = rng.uniform(-0.1, 1, 2) * (w, h)
    width, height = rng.uniform(0.08, 0.4, 2) * (w, h)
    dx, dy = rng.uniform(-0.12, 0.12) * w, rng.uniform(0.03, 0.1) * h
    colour = muted(rng) if rng.random() < 0.7 else rng.uniform(20, 235, 3)
    x1, y1 = x + width, y + height
    top = [(x, y), (x1, y), (x1 + dx, y - dy), (x + dx, y - dy)]
    side = [(x1, y), (x1 + dx, y - dy), (x1 + dx, y1 - dy), (x1, y1)]
    if dx < 0:
        side = [(x, y), (x + dx, y - dy), (x + dx, y1 - dy), (x, y1)]
    faces = ((side, 0.6), (top, 1.15), ([(x, y), (x1, y), (x1, y1), (x, y1)], 0.9))
    for corners, shade in faces:
        polygon = np.rint(np.array(corners)).astype(np.int32)
        cv2.fillConvexPoly(image, polygon, _tuple(np.clip(colour * shade, 0, 255)), cv2.LINE_AA)
    if rng.random() < 0.5:
        _frame(image, (x + 3, y + 3), (x1 - 3, y1 - 3), rng)


def _frame(
    image: Pixels, first: tuple[float, float], last: tuple[float, float], rng: np.random.Generator
) -> None:
    corners = (int(first[0]), int(first[1])), (int(last[0]), int(last[1]))
    cv2.rectangle(image, *corners, _tuple(muted(rng)), cv2.FILLED)
    cv2.rectangle(image, *corners, _tuple(muted(rng, 20, 120)), int(rng.integers(1, 4)))


def _distractor(image: Pixels, rng: np.random.Generator) -> None:
    """Something round or long, often in the colours of skin and cloth."""
    h, w = image.shape[:2]
    colour = _FLESH[rng.integers(len(_FLESH))] if rng.random() < 0.35 else rng.uniform(20, 235, 3)
    x, y = rng.uniform(0, 1, 2) * (w, h)
    kind = rng.random()
    if kind < 0.5:
        angle, length = rng.uniform(0, np.pi), rng.uniform(0.1, 0.35) * h
        end = (int(x + length * np.cos(angle)), int(y + length * np.sin(angle)))
        thick = int(rng.integers(3, 15))
        cv2.line(image, (int(x), int(y)), end, _tuple(0.7 * colour), thick, cv2.LINE_AA)
        cv2.line(image, (int(x), int(y)), end, _tuple(colour), max(1, thick - 3), cv2.LINE_AA)
    elif kind < 0.75:
        axes = (int(rng.integers(4, 22)), int(rng.integers(4, 22)))
        cv2.ellipse(
            image,
            (int(x), int(y)),
            axes,
            rng.uniform(0, 180),
            0,
            360,
            _tuple(colour),
            cv2.FILLED,
            cv2.LINE_AA,
        )
    else:
        thick = int(rng.integers(3, 12))
        cv2.line(image, (int(x), 0), (int(x + rng.normal(0, 8)), h), _tuple(0.8 * colour), thick, cv2.LINE_AA)


def _tuple(colour: Floats) -> tuple[float, ...]:
    return tuple(np.clip(colour, 0, 255).tolist())
