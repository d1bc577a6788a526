"""What a page's program is told of a plot."""

import json
import re

from nas.report.charts import ChartAxis, ChartPoint, ChartSeries, chart


def test_what_cannot_be_drawn_is_left_out_and_names_end_no_script() -> None:
    nan = float("nan")
    points = [
        ChartPoint(1, 2, (0.5, 1.5), None, ("a </script>", "b")),
        ChartPoint(nan, 2),
        ChartPoint(3, nan),
    ]
    series = [
        ChartSeries("<b>", "star", points, 9),
        ChartSeries("none", "dot", []),
        ChartSeries("x", "line", [ChartPoint(1, 1)], None),
    ]
    content = chart(
        "l", series, x=ChartAxis("ms", log=True), y=ChartAxis("AP"), verticals=[(1.5, "here")], band=0.1
    )
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', content)
    data = json.loads(text)
    assert [one["name"] for one in data["series"]] == ["<b>", "x"]
    assert [one["colour"] for one in data["series"]] == ["c1", "grey"]
    assert data["series"][0]["points"] == [{"x": 1, "y": 2, "xs": [0.5, 1.5], "tip": ["a </script>", "b"]}]
    assert (data["x"], data["verticals"], data["band"]) == (
        {"label": "ms", "log": True},
        [{"at": 1.5, "text": "here"}],
        0.1,
    )
