"""Addresses in fields that were checked loosely before: what is stored may stay, what is new is strict (KEP-4858)."""

from collections.abc import Container

from kubesvc.api.addresses import (
    CIDR_EXPECTED,
    IP_EXPECTED,
    check_cidr,
    check_ip,
    check_ordinary_ip,
    parse_lenient_cidr,
    parse_lenient_ip,
)


def ip_problems(text: str, grandfathered: Container[str] = ()) -> list[str]:
    if text in grandfathered:
        return [] if parse_lenient_ip(text) is not None else [IP_EXPECTED]
    return check_ip(text)


def cidr_problems(text: str, grandfathered: Container[str] = ()) -> list[str]:
    if text in grandfathered:
        return [] if parse_lenient_cidr(text) is not None else [CIDR_EXPECTED]
    return check_cidr(text)


ordinary_ip_problems = check_ordinary_ip
