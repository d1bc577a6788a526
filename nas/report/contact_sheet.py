"""A contact sheet: many images with poses drawn in, in one picture."""

from collections.abc import Sequence

import cv2
import numpy as np

from nas.arrays import Pixels

_GAP = 4
_LETTERING = 0.45


def contact_sheet(
    images: Sequence[Pixels],
    *,
    columns: int,
    cell: tuple[int, int],
    captions: Sequence[str] = (),
) -> Pixels:
    """Images side by side on white, each shrunk or enlarged into its cell.

    Args:
        images: RGB [h, w, 3], of any sizes.
        columns: images per row.
        cell: (h, w) of a cell in px.
        captions: written into the cells' upper left corners, for the first ones.

    Returns:
        RGB [rows * (h + gap) + gap, columns * (w + gap) + gap, 3].

    Raises:
        ValueError: no images.
    """
    if not images:
        raise ValueError("a contact sheet needs images")
    height, width = cell
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top = _GAP + (number // columns) * (height + _GAP)
        left = _GAP + (number % columns) * (width + _GAP)
        view = sheet[top : top + height, left : left + width]
        _paste(view, image)
        if number < len(captions):
            _write(view, captions[number])
    return sheet


def _paste(view: Pixels, image: Pixels) -> None:
    """Fit an image into the middle of a cell."""
    scale = min(view.shape[0] / image.shape[0], view.shape[1] / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=method)
    top, left = (view.shape[0] - size[1]) // 2, (view.shape[1] - size[0]) // 2
    view[top : top + size[1], left : left + size[0]] = small


def _write(view: Pixels, text: str) -> None:
    """White on a black box, which can be read on any picture."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _LETTERING, 1)
    cv2.rectangle(view, (0, 0), (width + 5, height + below + 3), (0, 0, 0), cv2.FILLED)
    corner = (3, height + 2)
    cv2.putText(view, text, corner, cv2.FONT_HERSHEY_SIMPLEX, _LETTERING, (255, 255, 255), 1, cv2.LINE_AA)
