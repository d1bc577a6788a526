import numpy as np
import pytest

from nas.report import contact_sheet


def test_images_fill_their_cells_row_by_row_and_keep_their_shape() -> None:
    red, blue = np.full((10, 20, 3), (255, 0, 0), np.uint8), np.full((60, 30, 3), (0, 0, 255), np.uint8)
    sheet = contact_sheet([red, blue, red], columns=2, cell=(40, 40))
    assert sheet.shape == (2 * 44 + 4, 2 * 44 + 4, 3)
    is_red, is_blue = (sheet == (255, 0, 0)).all(2), (sheet == (0, 0, 255)).all(2)
    assert is_red.sum() == 2 * 20 * 40
    assert is_blue.sum() == 40 * 20
    assert is_red[24, 24]
    assert is_red[68, 24]
    assert is_blue[24, 68]
    assert (sheet[68, 68] == 255).all()


def test_captions_are_written_into_their_cells() -> None:
    grey = np.full((50, 50, 3), 128, np.uint8)
    plain = contact_sheet([grey, grey], columns=2, cell=(50, 50))
    named = contact_sheet([grey, grey], columns=2, cell=(50, 50), captions=["a"])
    changed = (plain != named).any(2)
    assert changed.any()
    assert not changed[:, 58:].any()


def test_an_empty_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match="needs images"):
        contact_sheet([], columns=2, cell=(50, 50))
