"""Reading images, shrinking them and keeping them."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from nas.data import images
from nas.data.images import ImageStore, NotTurnedError, WrongSizeError, available_mib, decode
from nas.pictures import UnreadablePictureError


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A 60 x 80 JPEG."""
    path = tmp_path / "photograph.jpg"
    blurred = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8), None, 4)
    cv2.imwrite(str(path), blurred)
    return path


def test_channels_are_red_green_blue(tmp_path: Path) -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 0] = 200
    cv2.imwrite(str(tmp_path / "red.png"), image[..., ::-1])
    np.testing.assert_array_equal(decode(tmp_path / "red.png", (2, 3)), image)


def test_grey_images_become_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((2, 3), 7, np.uint8))
    assert decode(tmp_path / "grey.png", (2, 3)).tolist() == [[[7] * 3] * 3] * 2


def test_bad_files_say_why(photograph: Path) -> None:
    with pytest.raises(UnreadablePictureError, match="is missing"):
        decode(photograph.with_name("none.jpg"), (60, 80))
    with pytest.raises(UnreadablePictureError, match="is 80 x 60 px, annotated as 40 x 30"):
        decode(photograph, (30, 40))
    whole = photograph.read_bytes()
    for content, reason in (
        (whole[: len(whole) // 2], "cut short"),
        (b"", "is empty"),
        (b"no image at all", "not an image"),
    ):
        photograph.write_bytes(content)
        with pytest.raises(UnreadablePictureError, match=reason):
            decode(photograph, (60, 80))


def store(path: Path, budget_mib: int | None) -> ImageStore:
    return ImageStore(
        [path, path], np.array([[60, 80], [60, 80]]), np.array([1.0, 0.4]), budget_mib=budget_mib
    )


def test_cached_images_equal_decoded_ones_and_survive_the_file(photograph: Path) -> None:
    plain, cached = store(photograph, 0), store(photograph, 1)
    assert cached.cached
    first = [plain.read(0), plain.read(1)]
    assert first[1].shape == (24, 32, 3)
    assert cached.scale(1) == (0.4, 0.4)
    for position in (0, 1, 0, 1):
        np.testing.assert_array_equal(cached.read(position), first[position])
    photograph.unlink()
    np.testing.assert_array_equal(cached.read(1), first[1])
    with pytest.raises(UnreadablePictureError):
        plain.read(1)


def test_a_pickled_store_reads_without_its_cache(photograph: Path) -> None:
    cached = store(photograph, 1)
    copy = pickle.loads(pickle.dumps(cached))
    assert not copy.cached
    np.testing.assert_array_equal(copy.read(1), cached.read(1))


def test_a_cache_beyond_its_budget_is_refused(
    photograph: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(images, "available_mib", lambda: 0)
    for budget in (None, 50):
        assert not store(photograph, budget).cached
    assert "need 1 MiB decoded, 0 MiB are allowed" in caplog.text
    monkeypatch.setattr(images, "available_mib", lambda: 4)
    assert store(photograph, None).cached


def test_memory_is_not_promised_twice(photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "available_mib", lambda: 3)
    many = [photograph] * 100
    sizes = np.array([[60, 80]] * 100)  # 1.4 MiB
    first = ImageStore(many, sizes, np.ones(100), budget_mib=2)
    assert first.cached
    assert not ImageStore(many, sizes, np.ones(100), budget_mib=None).cached
    for position in range(100):
        first.read(position)
    assert ImageStore(many, sizes, np.ones(100), budget_mib=2).cached


def test_available_memory_is_measured() -> None:
    assert available_mib() > 0


def test_a_size_that_fits_only_the_stored_picture_says_so(photograph: Path) -> None:
    jpeg = photograph.read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    photograph.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert decode(photograph, (80, 60)).shape == (80, 60, 3)
    with pytest.raises(
        NotTurnedError, match=r"60 x 80 px once .* flag says, annotated as 80 x 60, as it is stored"
    ):
        decode(photograph, (60, 80))
    assert decode(photograph, (60, 80), orientation="stored").shape == (60, 80, 3)
    with pytest.raises(NotTurnedError, match="80 x 60 px as stored, annotated as 60 x 80"):
        decode(photograph, (80, 60), orientation="stored")
    with pytest.raises(WrongSizeError, match="is 60 x 80 px, annotated as 31 x 30"):
        decode(photograph, (30, 31))
