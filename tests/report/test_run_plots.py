"""Training curves of losses of either sign."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from nas.report.run_plots import plot_training

RGB = {"blue": (0x21, 0x66, 0xAC)}


def test_weights_of_losses_norms_of_gradients_and_places_are_no_losses() -> None:
    losses = [{"step": step, "rle/largest": 1 / (step + 1)} for step in range(20)]
    others = [
        {**row, "weight/rle/nll": 30.0, "gradient_norm/rle": 200.0, "place_of_random/rle": 0.3}
        for row in losses
    ]
    assert plot_training(others) == plot_training(losses)


def blue_columns(values: list[float]) -> int:
    """How many columns of the picture the first curve touches."""
    rows = [{"step": step, "rle/largest": value} for step, value in enumerate(values)]
    pixels = imread(BytesIO(plot_training(rows)))[..., :3] * 255
    return int((np.abs(pixels - RGB["blue"]).max(-1) < 40).any(0).sum())


@pytest.mark.filterwarnings("error")
def test_a_loss_that_becomes_negative_is_drawn_to_its_end() -> None:
    positive = blue_columns(np.linspace(20, 1, 50).tolist())
    assert positive > 500
    assert blue_columns(np.linspace(5, -14, 50).tolist()) > 0.95 * positive
