"""What augmentation draws, and what it does to colours and boxes."""

import numpy as np
import pytest

from nas.data import NO_AUGMENT, AugmentConfig
from nas.data.augment import PART_ZOOM, UNCHANGED, change_colours, draw_variation, part_box
from nas.errors import UserError

STRONG = AugmentConfig.read("strong", "test")


def test_a_preset_can_be_changed_field_by_field() -> None:
    changed = AugmentConfig.read({"preset": "strong", "rotation": 12.0}, "test")
    assert changed.rotation == 12.0
    assert changed.scale == STRONG.scale
    assert AugmentConfig.read(changed.model_dump(), "test") == changed


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("fierce", "unknown preset 'fierce'; known: none, weak, strong, rtmpose_strong, rtmpose_weak"),
        ({"scale": [1.5, 0.5]}, "the lower one first"),
        ({"cutout_size": [0.0, 0.5]}, "cutout_size: expected two positive numbers"),
        ({"dropping_size": [0.5, 0.4]}, "dropping_size"),
        ({"patch_shape": "star"}, "patch_shape"),
        ({"rotate": 3}, "unknown field 'rotate'"),
        ({"flip": 1.5}, "flip"),
    ],
)
def test_wrong_settings_are_named(wrong: object, complaint: str) -> None:
    with pytest.raises(UserError, match=r"^data\.augment: ") as caught:
        AugmentConfig.read(wrong, "data.augment")
    assert complaint in str(caught.value)


def test_the_preset_none_changes_nothing() -> None:
    assert draw_variation(NO_AUGMENT, np.random.default_rng(3)) == UNCHANGED


def test_draws_stay_within_their_bounds_and_use_them() -> None:
    drawn = [draw_variation(STRONG, np.random.default_rng(seed)) for seed in range(400)]
    scales = [v.scale for v in drawn]
    angles = [v.rotation for v in drawn]
    assert 0.6 <= min(scales) < 0.65 < 1.35 < max(scales) <= 1.4
    assert -80 <= min(angles) < -70 < 70 < max(angles) <= 80
    assert 0.3 < np.mean([angle == 0 for angle in angles]) < 0.5
    assert 0.4 < np.mean([v.flip for v in drawn]) < 0.6
    assert 0.2 < np.mean([v.part_anchor is not None for v in drawn]) < 0.4
    assert all(max(map(abs, v.shift)) <= 0.1 for v in drawn)
    for v in drawn:
        assert v.patch is not None
        assert min(v.patch.x, v.patch.y) >= 0
        assert max(v.patch.x + v.patch.width, v.patch.y + v.patch.height) <= 1 + 1e-9


def test_the_stages_of_rtmpose_have_its_figures() -> None:
    drawn = {
        stage: [
            draw_variation(AugmentConfig.read(stage, "test"), np.random.default_rng(seed))
            for seed in range(400)
        ]
        for stage in ("rtmpose_strong", "rtmpose_weak")
    }
    for stage, scale, rotation, cut in (("strong", (0.71, 1.67), 80, 1.0), ("weak", (0.8, 1.33), 60, 0.5)):
        variations = drawn[f"rtmpose_{stage}"]
        scales = [v.scale for v in variations]
        assert min(scales) == pytest.approx(scale[0], abs=0.02)
        assert max(scales) == pytest.approx(scale[1], abs=0.02)
        assert max(abs(v.rotation) for v in variations) == pytest.approx(rotation, abs=2)
        assert np.mean([v.patch is not None for v in variations]) == pytest.approx(cut, abs=0.07)
        sides = [side for v in variations if v.patch for side in (v.patch.width, v.patch.height)]
        assert 0.2 <= min(sides) < max(sides) <= 0.4
        assert 0.2 < np.mean([v.part_anchor is not None for v in variations]) < 0.4
    moved = [v.shift != (0, 0) for v in drawn["rtmpose_strong"]]
    assert 0.22 < np.mean(moved) < 0.38
    assert all(v.shift == (0, 0) for v in drawn["rtmpose_weak"])


def test_colours_change_about_grey() -> None:
    config = AugmentConfig(contrast=0.5, saturation=1.0, tint=0.2)
    image = np.full((4, 5, 3), 128, np.uint8)
    change_colours(image, draw_variation(config, np.random.default_rng(1)))
    np.testing.assert_allclose(image.astype(int), 128, atol=1)


def test_no_saturation_is_grey_and_brightness_is_added() -> None:
    config = AugmentConfig(saturation=1.0)
    variation = next(
        v
        for v in (draw_variation(config, np.random.default_rng(seed)) for seed in range(1000))
        if v.colour is not None and abs(v.colour[0, 1] - 0.587) < 0.01
    )
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    change_colours(image, variation)
    assert np.ptp(image.astype(int), axis=2).max() <= 6
    lifted = draw_variation(AugmentConfig(brightness=0.5), np.random.default_rng(0)).colour
    assert lifted is not None
    np.testing.assert_allclose(lifted[:, :3], np.eye(3), atol=1e-12)
    assert np.ptp(lifted[:, 3]) == 0 != lifted[0, 3]


def test_a_part_holds_the_anchor_and_half_of_the_joints() -> None:
    keypoints = np.array([[x, 5.0, 2] for x in range(0, 100, 10)])
    box = np.array([-5.0, -5, 95, 15])
    part = part_box(keypoints, box, anchor=0.0)
    assert part[0] <= 0 <= 40 <= part[2] < 60
    assert (part[2:] - part[:2] >= (box[2:] - box[:2]) / PART_ZOOM - 1e-9).all()
    assert part_box(keypoints[:5], box, 0.5) is box
