"""What the pages of the documentation say: their blocks of code, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n+)+(?=\S|\Z)")
_SPAN = re.compile(r"`(nas [^`]+)`")
_BETWEEN = ("&&", "||", ";", "|", "&", "(", ")", "<", ">")
_LEADING = ("do", "then", "until", "while", "if", "!")


@dataclass(frozen=True)
class CodeBlock:
    """One block of code.

    Args:
        page: its page, from the root.
        language: of a fenced block; "" of others.
        title: of a fenced block; "" without one.
        text: without fence and indentation.
    """

    page: str
    language: str
    title: str
    text: str


@dataclass(frozen=True)
class Command:
    """One command line: the page that has it, and its words without `nas`."""

    page: str
    words: tuple[str, ...]


def blocks(*languages: str) -> list[CodeBlock]:
    """All blocks of these languages, in order."""
    return [block for path in PAGES for block in blocks_of(path) if block.language in languages]


def blocks_of(path: Path) -> list[CodeBlock]:
    """The blocks of one page, in order; indented ones have no language."""
    page = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    found = {
        match.start(): CodeBlock(page, match[1], match[2] or "", match[3]) for match in _FENCE.finditer(text)
    }
    prose = _FENCE.sub(lambda match: "`" * len(match[0]), text)
    for match in _INDENTED.finditer(prose):
        lines = (line[4:] for line in match[0].splitlines())
        found[match.start()] = CodeBlock(page, "", "", "\n".join(lines) + "\n")
    return [found[place] for place in sorted(found)]


def commands(code: list[CodeBlock]) -> list[Command]:
    """Every `nas ...` in blocks of shell, also behind `&&`, `torchrun`, `srun` and `python -m`."""
    found = []
    for block in code:
        for line in block.text.replace("\\\n", " ").splitlines():
            found += [Command(block.page, words) for words in _commands_of(line)]
    return found


def spans() -> list[Command]:
    """Every `nas ...` in running text."""
    return [
        Command(str(path.relative_to(ROOT)), tuple(text.split()[1:]))
        for path in PAGES
        for text in _SPAN.findall(path.read_text(encoding="utf-8"))
    ]


def _commands_of(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return  # an apostrophe: prose, no shell
    simple: list[str] = []
    for word in [*words, ";"]:
        if word in _BETWEEN:
            yield from _arguments(simple)
            simple = []
        else:
            simple.append(word)


def _arguments(words: list[str]) -> Iterator[tuple[str, ...]]:
    while words and (words[0] in _LEADING or re.fullmatch(r"[A-Z_]+=\S*", words[0])):
        words = words[1:]
    launched = words[:1] in (["srun"], ["torchrun"], ["python"]) and "nas" in words
    if words[:1] == ["nas"] or launched:
        yield tuple(words[words.index("nas") + 1 :])
