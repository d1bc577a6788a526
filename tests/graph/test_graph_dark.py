"""DARK refinement in ONNX."""

import numpy as np
import torch

from nas.heads.dark import dark_shift


def test_dark_in_onnx_is_torchs(run_function) -> None:
    rng = np.random.default_rng(0)
    y, x = np.indices((24, 16), float)
    centre = rng.uniform([-0.5, -0.5], [23.5, 15.5], (40, 2))[..., None, None]
    maps = np.exp(-((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2) / 8)
    heatmaps = torch.from_numpy(maps[None].astype(np.float32))

    def refined(heatmaps):
        index = torch.argmax(heatmaps.flatten(2), dim=2, keepdim=True)
        row = torch.div(index, 16, rounding_mode="floor")
        return dark_shift(heatmaps, index - row * 16, row)

    _, outputs = run_function(refined, heatmaps)
    found = np.stack([outputs["out0"], outputs["out1"]], axis=-1)[0, :, 0]
    expected = torch.stack(refined(heatmaps), dim=3)[0, :, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    inner = ((centre > 0.5) & (centre < [[[22.5]], [[14.5]]])).all((1, 2, 3))
    assert inner.sum() > 20
    np.testing.assert_allclose(found[inner], centre[inner, ::-1, 0, 0], atol=1e-3)
