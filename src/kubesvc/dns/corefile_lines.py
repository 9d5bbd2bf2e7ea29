"""The outer form of a Corefile: words, blocks, comments, imports."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_DEEPEST = 8


class CorefileError(ValueError):
    """A Corefile that cannot be followed; the message begins with file, line and directive."""


class Line(NamedTuple):
    """One directive: its words, and the lines of its block if it has one."""

    file: str
    number: int
    words: list[str]
    block: "list[Line] | None"

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def arguments(self) -> list[str]:
        return self.words[1:]


def parse_lines(text: str, *, file: str, directory: Path | None = None, depth: int = 0) -> list[Line]:
    """The file as a tree of lines; `import` is followed where there is a directory to look in."""
    lines = [
        (number, words)
        for number, line in enumerate(text.splitlines(), 1)
        if (words := _words(line.partition("#")[0] if not line.strip().startswith('"') else line))
    ]
    tree, rest = _block(iter(lines), file, directory, depth=depth, level=0)
    if rest is not None:
        raise CorefileError(f"{file}:{rest}: }}: closes nothing")
    return tree


def _words(line: str) -> list[str]:
    return line.replace('"', " ").split()


def _block(
    lines: Iterator[tuple[int, list[str]]], file: str, directory: Path | None, *, depth: int, level: int
) -> tuple[list[Line], int | None]:
    """The lines up to the closing brace, and the number of the line it stands on."""
    found: list[Line] = []
    for number, words in lines:
        if words == ["}"]:
            return found, number
        if words[0] == "import" and len(words) == 2:
            if depth == _DEEPEST:
                raise CorefileError(f"{file}:{number}: import: {_DEEPEST} files within one another")
            found += _imported(words[1], directory, depth + 1)
        elif words[-1] == "{":
            if len(words) == 1:
                raise CorefileError(f"{file}:{number}: {{: opens a block of nothing")
            if level == _DEEPEST:
                raise CorefileError(f"{file}:{number}: {words[0]}: {_DEEPEST} blocks within one another")
            inner, end = _block(lines, file, directory, depth=depth, level=level + 1)
            if end is None:
                raise CorefileError(f"{file}:{number}: {words[0]}: its block is not closed")
            found.append(Line(file, number, words[:-1], inner))
        else:
            found.append(Line(file, number, words, None))
    return found, None


def _imported(pattern: str, directory: Path | None, depth: int) -> list[Line]:
    """What other files add; none there is as good as an empty one, as CoreDNS has it for patterns."""
    if directory is None:
        return []
    base, name = (Path("/"), pattern.lstrip("/")) if pattern.startswith("/") else (directory, pattern)
    lines: list[Line] = []
    for path in sorted(base.glob(name)):
        if path.is_file():
            lines += parse_lines(path.read_text(errors="replace"), file=str(path), directory=directory, depth=depth)
    return lines
