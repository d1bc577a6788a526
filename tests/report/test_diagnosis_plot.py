"""The plot of a diagnosis shows all that it draws."""

from typing import Any

import pytest

from nas.report import diagnosis_plot

RISING = tuple(number / 10 for number in range(1, 9))


@pytest.mark.parametrize("inherited", [RISING, RISING[::-1]], ids=["right", "the wrong way round"])
def test_all_lines_are_within_the_picture(
    inherited: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []

    def keep(figure: object) -> bytes:
        drawn.append(figure)
        return b""

    monkeypatch.setattr(diagnosis_plot, "png", keep)
    networks = [
        {"inherited": score, "alone": [alone] * 2, "alone_mean": alone, "bin": 1, "predicted_ms": 1.0}
        for score, alone in zip(inherited, RISING, strict=True)
    ]
    diagnosis_plot.plot_diagnosis({"metric": "AP", "networks": networks})
    for axes in drawn[0].axes:
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        lines = [line for line in axes.lines if len(set(line.get_xdata())) > 2]
        assert lines
        for line in lines:
            assert all(left <= x <= right for x in line.get_xdata())
            assert all(bottom <= y <= top for y in line.get_ydata())
