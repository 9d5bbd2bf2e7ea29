"""P: `$(NAME)` in commands, arguments and environment values (Pod v1, `Container.command`)."""

import re
from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"\$\$|\$\(([^()$]+)\)")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace known references; unknown ones stay as they are, and `$$(NAME)` means a literal `$(NAME)`."""

    def substitute(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return _REFERENCE.sub(substitute, text)


def expand_all(words: Iterable[str] | None, values: Mapping[str, str]) -> tuple[str, ...]:
    """Each word expanded."""
    return tuple(expand(word, values) for word in words or ())
