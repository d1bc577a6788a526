"""The findings of a check as one HTML page: no scripts, nothing from outside, pictures inlined."""

import base64
from html import escape

from nas.data.check_pictures import draw
from nas.data.check_report import CheckReport, Example, Finding
from nas.pictures import Orientation

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 66rem; background: #fff; color: #1c1c1c;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .3rem; }
p { margin: .4rem 0; max-width: 50rem; }
a { color: inherit; }
.note { color: #555; font-size: .9rem; }
.verdict { font-size: 1.05rem; padding: .5rem .8rem; border-left: 4px solid #3c9a4a; background: #eef8f0; }
.verdict.bad { border-color: #c33; background: #fdf0ef; }
.tag { display: inline-block; font-size: .75rem; font-weight: 600; padding: .05rem .5rem; border-radius: 1rem;
  white-space: nowrap; background: #e8eef7; color: #274b7a; vertical-align: .1em; }
.tag.problem { background: #fbe3e1; color: #a11d14; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e6e6e6; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { border-bottom: 2px solid #bbb; white-space: nowrap; }
td { min-width: 4rem; }
td.figure, th.figure { text-align: right; white-space: nowrap; }
.examples { display: flex; flex-wrap: wrap; gap: 1rem; margin: .8rem 0; padding: 0; list-style: none; }
.examples li { width: 260px; font-size: .82rem; line-height: 1.4; overflow-wrap: anywhere; }
.examples li.pair { width: 532px; max-width: 100%; }
.examples li.text { width: 100%; }
.shown { display: flex; gap: 12px; align-items: flex-start; margin-bottom: .3rem; }
.shown img { max-width: 100%; min-width: 0; height: auto; display: block; border: 1px solid #ddd; }
.legend i { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin: 0 .25em 0 .8em; }
.legend i.box { border-radius: 0; border: 2px solid #2878ff; width: .6em; height: .6em; }
@media print { body { padding: 0; } h2 { break-after: avoid; } li { break-inside: avoid; } }
"""

_LEGEND = (
    '<p class="note legend">In the pictures: <i class="box"></i>box'
    '<i style="background:#28c83c"></i>visible joint<i style="background:#eba014"></i>occluded joint'
    '<i style="background:#e61e1e"></i>the joint in question. Grey is outside of the image.</p>'
)


def check_page(title: str, report: CheckReport) -> str:
    """A document of the verdict, the splits, all classes of findings and pictures of examples."""
    body = [f"<h1>{escape(title)}</h1>", _verdict(report), _splits(report)]
    if report.findings:
        body += [_overview(report), _LEGEND]
        body += [_section(finding, report.orientation) for finding in report.findings]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def verdict(report: CheckReport) -> str:
    """One sentence on all of it."""
    if report.problems:
        kinds = sum(finding.kind.problem for finding in report.findings)
        classes = "class" if kinds == 1 else "classes"
        return (
            f"{_count(report.problems, 'problem')} of {kinds} {classes}, {_count(report.remarks, 'remark')}."
        )
    return f"No problems, {_count(report.remarks, 'remark')}."


def _count(number: int, noun: str) -> str:
    if not number:
        return f"no {noun}s"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _verdict(report: CheckReport) -> str:
    bad = " bad" if report.problems else ""
    return f'<p class="verdict{bad}">{escape(verdict(report))}</p>'


def _splits(report: CheckReport) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(split.file))}</td>"
        f"<td>{escape('not found' if split.folder is None else str(split.folder))}</td>"
        f'<td class="figure">{split.images:,}</td><td class="figure">{split.looked_at:,}</td>'
        f'<td class="figure">{split.people:,}</td></tr>'
        for split in report.splits
    )
    head = '<th>annotations</th><th>image folder</th><th class="figure">images</th>'
    head += '<th class="figure">sound</th><th class="figure">people</th>'
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _overview(report: CheckReport) -> str:
    rows = "".join(
        f"<tr><td>{_tag(finding)}</td>"
        f'<td><a href="#{finding.kind.name}">{escape(finding.kind.title)}</a></td>'
        f'<td class="figure">{finding.count:,}</td><td>{escape(finding.kind.advice)}</td></tr>'
        for finding in report.findings
    )
    head = '<th></th><th>class</th><th class="figure">count</th><th></th>'
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _tag(finding: Finding) -> str:
    return f'<span class="tag {finding.kind.severity}">{finding.kind.severity}</span>'


def _section(finding: Finding, orientation: Orientation) -> str:
    shown = len(finding.examples)
    more = f" The first {shown} of {finding.count:,}:" if finding.count > shown else ""
    examples = "\n".join(_example(example, orientation) for example in finding.examples)
    return (
        f'<section id="{finding.kind.name}">\n<h2>{escape(finding.kind.title)} {_tag(finding)}</h2>\n'
        f'<p class="note">{escape(finding.kind.advice + more)}</p>\n'
        f'<ul class="examples">\n{examples}\n</ul>\n</section>'
    )


def _example(example: Example, orientation: Orientation) -> str:
    drawn = [jpeg for picture in example.pictures if (jpeg := draw(picture, orientation)) is not None]
    pictures = "".join(
        f'<img alt="{escape(example.label)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(jpeg).decode("ascii")}">'
        for jpeg in drawn
    )
    layout = ("text", "single", "pair")[min(len(drawn), 2)]
    shown = f'<div class="shown">{pictures}</div>' if drawn else ""
    return f'<li class="{layout}">{shown}{escape(str(example))}</li>'
