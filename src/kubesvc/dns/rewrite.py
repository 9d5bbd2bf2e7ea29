"""Names that are asked under one name and answered under another, unseen by the asker."""

import re
from dataclasses import dataclass

from kubesvc.dns import wire
from kubesvc.dns.wire import BadName

_GROUP = re.compile(r"\{(\d{1,4})\}")
KINDS = ("exact", "prefix", "suffix", "substring", "regex")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rule: names that `match` in the way of `kind` become what `replacement` says.

    Texts are full names with the closing dot; in a replacement of kind regex `{1}` stands for the
    first group. With `goes_on`, the rules behind it are for the name that comes of it.
    """

    kind: str
    match: str
    replacement: str
    goes_on: bool = False

    def apply(self, name: str) -> str | None:
        """The other name, None when the rule does not match."""
        match self.kind:
            case "exact":
                return self.replacement if name == self.match else None
            case "prefix":
                return self.replacement + name.removeprefix(self.match) if name.startswith(self.match) else None
            case "suffix":
                return name.removesuffix(self.match) + self.replacement if name.endswith(self.match) else None
            case "substring":
                return name.replace(self.match, self.replacement) if self.match in name else None
            case "regex":
                found = re.search(self.match, name, re.IGNORECASE)
                return _GROUP.sub(lambda m: found[int(m[1])] or "", self.replacement) if found else None
        raise ValueError(f"{self.kind!r} is no kind of rewrite")


def checked(rule: Rewrite) -> Rewrite:
    """`rule`; raises ValueError for a pattern that is none and for groups that it does not have."""
    if rule.kind == "regex":
        try:
            groups = re.compile(rule.match).groups
        except (re.error, OverflowError, RecursionError) as err:
            raise ValueError(f"{rule.match!r} is no pattern: {err}") from err
        if any(int(number) > groups for number in _GROUP.findall(rule.replacement)):
            raise ValueError(f"{rule.replacement!r} asks for more groups than {rule.match!r} has")
    return rule


def rewritten(rules: tuple[Rewrite, ...], name: bytes) -> bytes:
    """`name` after the first rule that matches and leads to a name; unchanged without one."""
    if not rules:
        return name
    text = wire.name_to_text(name)
    for rule in rules:
        other = rule.apply(text)
        if other is not None:
            try:
                name = wire.name_from_text(other)
            except BadName:
                return name
            if not rule.goes_on:
                return name
            text = wire.name_to_text(name)
    return name
