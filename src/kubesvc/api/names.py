"""Names as the API spells them: labels, subdomains, qualified keys, port names (RFC 1123, RFC 6335).

Every check returns the sentences that say what is wrong, in the API's own words; an empty list means valid.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

NAME_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""What a generated suffix is drawn from: no vowels, nothing that reads like something else."""

SUFFIX_LENGTH: Final = 5
_GENERATED_MAX: Final = 63

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_PERCENT: Final = "[0-9]+%"
_HEADER: Final = "[-A-Za-z0-9]+"

_label_match = re.compile(_LABEL).fullmatch
_subdomain_match = re.compile(_SUBDOMAIN).fullmatch
_qualified_match = re.compile(_QUALIFIED).fullmatch
_config_key_match = re.compile(_CONFIG_KEY).fullmatch
_percent_match = re.compile(_PERCENT).fullmatch
_header_match = re.compile(_HEADER).fullmatch
_port_charset_match = re.compile("[-a-z0-9]+").fullmatch
_relaxed_env_match = re.compile(r"[ -<>-~]*").fullmatch

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_QUALIFIED_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)

NameCheck = Callable[[str], list[str]]


def too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def out_of_range(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def pattern_mismatch(words: str, pattern: str, *examples: str) -> str:
    """The sentence for a value that does not match: the rule, examples, the expression."""
    used = f"regex used for validation is '{pattern}')"
    if not examples:
        return f"{words} ({used}"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{words} (e.g. {shown}{used}"


def check_label(value: str) -> list[str]:
    """RFC 1123 label: what most object names are."""
    problems = [too_long(63)] if len(value) > 63 else []
    if not _label_match(value):
        if _subdomain_match(value):
            problems.append("must not contain dots")
        else:
            problems.append(pattern_mismatch(_LABEL_WORDS, _LABEL, "my-name", "123-abc"))
    return problems


def check_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain: labels joined by dots, 253 bytes in all."""
    problems = [too_long(253)] if len(value) > 253 else []
    if not _subdomain_match(value):
        problems.append(pattern_mismatch(_SUBDOMAIN_WORDS, _SUBDOMAIN, "example.com"))
    return problems


def check_qualified(value: str) -> list[str]:
    """A label key: an optional `subdomain/` and a name of at most 63 bytes."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        words = pattern_mismatch(_QUALIFIED_WORDS, _QUALIFIED, "MyName", "my.name", "123-abc")
        return [f"a valid label key {words} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    problems: list[str] = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems += [f"prefix part {problem}" for problem in check_subdomain(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append(f"name part {too_long(63)}")
    if not _qualified_match(name):
        problems.append("name part " + pattern_mismatch(_QUALIFIED_WORDS, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return problems


def check_label_value(value: str) -> list[str]:
    problems = [too_long(63)] if len(value) > 63 else []
    if value and not _qualified_match(value):
        words = (
            f"a valid label must be an empty string or consist of {_QUALIFIED_WORDS.removeprefix('must consist of ')}"
        )
        problems.append(pattern_mismatch(words, f"({_QUALIFIED})?", "MyValue", "my_value", "12345"))
    return problems


def check_port_name(value: str) -> list[str]:
    """IANA service name (RFC 6335): at most 15 of `[-a-z0-9]`, one letter, no edge or double hyphen."""
    problems = [too_long(15)] if len(value) > 15 else []
    if not _port_charset_match(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def check_port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [out_of_range(1, 65535)]


def check_config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret; also a file name, so `.` and `..` are out."""
    problems = [too_long(253)] if len(value) > 253 else []
    if not _config_key_match(value):
        words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        problems.append(pattern_mismatch(words, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return problems + _check_not_upwards(value)


def check_env_name(value: str) -> list[str]:
    """An environment variable: any printable ASCII except `=` (the relaxed rule of 1.34 and later)."""
    if not value:
        return ["environment variable name must be non-empty"]
    if _relaxed_env_match(value):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def check_percent(value: str) -> list[str]:
    if _percent_match(value):
        return []
    words = "a valid percent string must be a numeric string followed by an ending '%'"
    return [pattern_mismatch(words, _PERCENT, "1%", "93%")]


def check_header_name(value: str) -> list[str]:
    if _header_match(value):
        return []
    words = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [pattern_mismatch(words, _HEADER, "X-Header-Name")]


def check_path_segment(value: str) -> list[str]:
    """A name that only has to fit into a URL path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{bad}'" for bad in ("/", "%") if bad in value]


def _check_not_upwards(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def generated_name(base: str, suffix: str) -> str:
    """The name for `generateName`: the base, cut so that the drawn suffix fits into 63 bytes, then the suffix."""
    return base[: _GENERATED_MAX - len(suffix)] + suffix


def generated_suffix(numbers: Iterable[int]) -> str:
    """Five characters of the alphabet for five drawn numbers (any non-negative integers)."""
    return "".join(NAME_ALPHABET[number % len(NAME_ALPHABET)] for number in numbers)
