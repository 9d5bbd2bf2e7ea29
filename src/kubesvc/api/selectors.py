"""Label selectors: the string form of query parameters, the object form of specs, and the matching of both.

A selector is a conjunction: every requirement must hold, labels it does not name do not matter.
`str()` gives the string form back, so `parse_label_selector(str(s)) == s`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kubesvc.api.field_selectors import FieldSelector, parse_field_selector, supported_fields
from kubesvc.api.names import check_label_value, check_qualified
from kubesvc.api.status import BadRequest
from kubesvc.api.views import LabelSelector as LabelSelectorView

__all__ = [
    "EVERYTHING", "NOTHING", "FieldSelector", "LabelSelector", "Operator", "Requirement", "equality_selector",
    "label_selector_from", "parse_field_selector", "parse_label_selector", "supported_fields",
]  # fmt: skip


class Operator(StrEnum):
    EQUALS = "="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    GREATER_THAN = ">"
    LESS_THAN = "<"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term. `values` is sorted; the negative operators also hold where the label is absent."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return _MATCH[self.operator](labels.get(self.key), self.values)

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({','.join(self.values)})"
        return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements; without any it matches everything, with `nothing` it never matches."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    _equal: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    _other: tuple[Requirement, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Nearly all selectors in a cluster are plain equalities: they are matched without a call per term.
        equal = tuple((r.key, r.values[0]) for r in self.requirements if r.operator is Operator.EQUALS)
        other = tuple(r for r in self.requirements if r.operator is not Operator.EQUALS)
        object.__setattr__(self, "_equal", equal)
        object.__setattr__(self, "_other", other)

    @property
    def everything(self) -> bool:
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        labels = labels or {}
        if self.nothing:
            return False
        for key, value in self._equal:
            if labels.get(key) != value:
                return False
        return all(requirement.matches(labels) for requirement in self._other)

    def __and__(self, other: "LabelSelector") -> "LabelSelector":
        merged = dict.fromkeys((*self.requirements, *other.requirements))
        return LabelSelector(_ordered(merged), nothing=self.nothing or other.nothing)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def _is_greater(found: str | None, values: tuple[str, ...]) -> bool:
    return _compare(found, values, lambda left, right: left > right)


def _is_less(found: str | None, values: tuple[str, ...]) -> bool:
    return _compare(found, values, lambda left, right: left < right)


def _compare(found: str | None, values: tuple[str, ...], holds: Callable[[int, int], bool]) -> bool:
    try:
        return found is not None and holds(int(found), int(values[0]))
    except ValueError:
        return False


_MATCH: dict[Operator, Callable[[str | None, tuple[str, ...]], bool]] = {
    Operator.EQUALS: lambda found, values: found == values[0],
    Operator.NOT_EQUALS: lambda found, values: found != values[0],
    Operator.IN: lambda found, values: found in values,
    Operator.NOT_IN: lambda found, values: found not in values,
    Operator.EXISTS: lambda found, values: found is not None,
    Operator.DOES_NOT_EXIST: lambda found, values: found is None,
    Operator.GREATER_THAN: _is_greater,
    Operator.LESS_THAN: _is_less,
}

EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def _ordered(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    return tuple(sorted(requirements, key=lambda r: (r.key, r.operator, r.values)))


# The string form

_KEY = r"(?P<key>[^\s!=<>(),]+)"
_TERM = re.compile(
    rf"""\s*(?:
        !\s*(?P<absent>[^\s!=<>(),]+)
      | {_KEY}\s+(?P<set>in|notin)\s*\((?P<members>[^()]*)\)
      | {_KEY.replace("key", "subject")}\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s!=<>(),]*)
      | {_KEY.replace("key", "present")}
    )\s*(?P<end>,|$)""",
    re.VERBOSE,
)  # fmt: skip


def parse_label_selector(text: str) -> LabelSelector:
    """Read `a=b,c!=d,e in (f,g),h,!i`; an empty string selects everything. Raises BadRequest."""
    if not text.strip():
        return EVERYTHING
    requirements: list[Requirement] = []
    position, ending = 0, ","
    while ending == ",":
        term = _TERM.match(text, position)
        if term is None:
            raise BadRequest(
                f"unable to parse requirement: unexpected {text[position:].strip()!r} in selector {text!r}"
            )
        requirements.append(_checked(_read_term(term)))
        position, ending = term.end(), term["end"]
    return LabelSelector(_ordered(requirements))


def _read_term(term: re.Match[str]) -> Requirement:
    if term["absent"]:
        return Requirement(term["absent"], Operator.DOES_NOT_EXIST)
    if term["set"]:
        members = sorted({member.strip() for member in term["members"].split(",")})
        return Requirement(term["key"], Operator(term["set"]), tuple(members))
    if term["op"]:
        return Requirement(term["subject"], Operator("=" if term["op"] == "==" else term["op"]), (term["value"],))
    return Requirement(term["present"], Operator.EXISTS)


def _checked(requirement: Requirement) -> Requirement:
    for problem in check_qualified(requirement.key):
        raise BadRequest(f'unable to parse requirement: key: Invalid value: "{requirement.key}": {problem}')
    for index, value in enumerate(requirement.values):
        for problem in check_label_value(value):
            where = f"values[{index}][{requirement.key}]"
            raise BadRequest(f'unable to parse requirement: {where}: Invalid value: "{value}": {problem}')
    if requirement.operator in (Operator.GREATER_THAN, Operator.LESS_THAN) and not _is_integer(requirement.values[0]):
        raise BadRequest(
            f"unable to parse requirement: values[0]: Invalid value: {requirement.values[0]!r}: "
            "for 'Gt', 'Lt' operators, the value must be an integer"
        )
    return requirement


def _is_integer(text: str) -> bool:
    return text.isascii() and text.isdigit()


# The object forms

_SPELLED = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


def equality_selector(pairs: Mapping[str, str] | None) -> LabelSelector:
    """The AND over a Service's `selector`; an empty or absent map selects nothing, as Services do."""
    if not pairs:
        return NOTHING
    return LabelSelector(_ordered(Requirement(key, Operator.EQUALS, (value,)) for key, value in pairs.items()))


def label_selector_from(selector: Mapping[str, Any] | LabelSelectorView | None) -> LabelSelector:
    """A spec's `{matchLabels, matchExpressions}`: absent selects nothing, empty everything.

    Raises ValueError for an operator that does not exist.
    """
    if selector is None:
        return NOTHING
    if isinstance(selector, LabelSelectorView):
        labels = selector.match_labels or {}
        expressions = [(e.key, e.operator, e.values or ()) for e in selector.match_expressions or ()]
    else:
        labels = selector.get("matchLabels") or {}
        expressions = [
            (e.get("key", ""), e.get("operator", ""), tuple(e.get("values") or ()))
            for e in selector.get("matchExpressions") or ()
        ]
    terms = [Requirement(key, Operator.EQUALS, (value,)) for key, value in labels.items()]
    terms += [_from_expression(*expression) for expression in expressions]
    return LabelSelector(_ordered(terms))


def _from_expression(key: str, operator: str, values: tuple[str, ...]) -> Requirement:
    if operator not in _SPELLED:
        raise ValueError(f'"{operator}" is not a valid label selector operator')
    return Requirement(key, _SPELLED[operator], tuple(sorted(set(values))))
