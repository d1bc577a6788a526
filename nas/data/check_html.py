"""The findings of a check as one HTML page, with pictures of examples."""

from nas.data.check_pictures import draw
from nas.data.check_report import CheckReport, Example
from nas.pages import render


def check_page(title: str, report: CheckReport) -> str:
    """A document of the verdict, the splits, all classes of findings and pictures of examples."""

    def drawn(example: Example) -> list[bytes]:
        jpegs = (draw(picture, report.orientation) for picture in example.pictures)
        return [jpeg for jpeg in jpegs if jpeg is not None]

    return render("check.html", title=title, report=report, draw=drawn)
