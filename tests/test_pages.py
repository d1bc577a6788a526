"""Pages are whole and escaped, whatever is put into them."""

import pytest
from jinja2 import UndefinedError

from nas.pages import cell, macros, render


def test_every_text_is_escaped_unless_a_macro_wrote_it() -> None:
    parts = macros("parts.html")
    content = parts.paragraph("a & b") + parts.table(["<th>"], [["<td>"], [None]]) + "<s>"
    page = render("report.html", title="<t>", subtitle="<u>", sections=[("<h2>", content), ("", "<b>")])
    for name in ("th>", "td>", "s>", "t>", "u>", "h2>", "b>"):
        assert f"&lt;{name.replace('>', '&gt;')}" in page
    assert "<p>a &amp; b</p>" in page
    assert "<td>–</td>" in page
    assert page.startswith("<!DOCTYPE html>\n<html")
    assert page.endswith("</html>\n")


def test_a_value_that_was_forgotten_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="subtitle"):
        render("report.html", title="t", sections=[])


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (float("nan"), "–"), (True, "yes"), (12345, "12,345"), (0.5, "0.500"), (1234.5, "1,234")],
)
def test_cells_are_for_people(value: object, said: str) -> None:
    assert cell(value) == said
