"""Names: labels, subdomains, qualified keys, port names, generated names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api import names


@pytest.mark.parametrize("name", ["a", "0", "web-1", "1web", "a" * 63])
def test_labels_may_start_with_a_digit_and_have_63_bytes(name: str) -> None:
    assert names.check_label(name) == []


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "ä", "a b", "a\n"])
def test_what_is_no_label_gets_the_rule_examples_and_expression(name: str) -> None:
    [problem] = names.check_label(name)
    assert problem == (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
        "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    )


def test_a_dot_in_a_label_is_said_to_be_a_dot() -> None:
    assert names.check_label("a.b") == ["must not contain dots"]


def test_too_long_names_say_how_long_they_may_be() -> None:
    assert names.check_label("a" * 64) == ["must be no more than 63 bytes"]
    assert names.check_subdomain("a" * 254) == ["must be no more than 253 bytes"]


def test_subdomains_are_labels_joined_by_dots() -> None:
    assert names.check_subdomain("a.b-c.1") == []
    assert names.check_subdomain("a..b") != []
    assert names.check_subdomain("a.") != []


@pytest.mark.parametrize("key", ["a", "A.b_c-D", "example.com/name", "kubernetes.io/metadata.name"])
def test_label_keys_may_have_a_subdomain_as_prefix(key: str) -> None:
    assert names.check_qualified(key) == []


@pytest.mark.parametrize(
    ("key", "opening"),
    [
        ("/x", "prefix part must be non-empty"),
        ("x/", "name part must be non-empty"),
        ("A/x", "prefix part a lowercase RFC 1123 subdomain"),
        ("-x", "name part must consist of alphanumeric characters"),
        ("a/b/c", "a valid label key must consist of"),
        ("a" * 64, "name part must be no more than 63 bytes"),
    ],
)
def test_wrong_label_keys_say_which_part_is_wrong(key: str, opening: str) -> None:
    assert names.check_qualified(key)[0].startswith(opening)


def test_label_values_may_be_empty_but_not_end_in_a_hyphen() -> None:
    assert names.check_label_value("") == []
    assert names.check_label_value("v1.2_3-x") == []
    assert names.check_label_value("v-")[0].startswith("a valid label must be an empty string or consist of")
    assert names.check_label_value("v" * 64) == ["must be no more than 63 bytes"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a-very-long-name", "must be no more than 15 bytes"),
        ("HTTP", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        ("8080", "must contain at least one letter (a-z)"),
        ("a--b", "must not contain consecutive hyphens"),
        ("-a", "must not begin or end with a hyphen"),
    ],
)
def test_port_names_follow_the_iana_rules(name: str, problem: str) -> None:
    assert problem in names.check_port_name(name)


def test_config_keys_are_file_names_that_stay_in_their_directory() -> None:
    assert names.check_config_key("app.conf") == []
    assert names.check_config_key(".") == ["must not be '.'"]
    assert names.check_config_key("..") == ["must not be '..'"]
    assert names.check_config_key("..a") == ["must not start with '..'"]
    assert names.check_config_key("a/b") != []


def test_environment_names_are_printable_ascii_without_an_equals_sign() -> None:
    assert names.check_env_name("MY.VAR 1") == []
    assert names.check_env_name("") == ["environment variable name must be non-empty"]
    assert names.check_env_name("A=B") != []
    assert names.check_env_name("Ä") != []


@given(st.text(alphabet="abc-", max_size=80), st.lists(st.integers(0, 2**32), min_size=5, max_size=5))
def test_generated_names_fit_into_a_label_and_keep_the_base(base: str, numbers: list[int]) -> None:
    suffix = names.generated_suffix(numbers)
    name = names.generated_name(base, suffix)
    assert len(name) <= 63
    assert name == base[:58] + suffix
    assert set(suffix) <= set(names.NAME_ALPHABET)
