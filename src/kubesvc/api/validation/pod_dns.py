"""How a pod resolves names: dnsPolicy, dnsConfig, hostAliases (KEP-504, KEP-2595)."""

import re
from collections.abc import Sequence
from typing import Any

from kubesvc.api.addresses import IP_EXPECTED, parse_lenient_ip
from kubesvc.api.names import check_subdomain, pattern_mismatch
from kubesvc.api.validation.errors import FieldError, each_invalid, invalid, not_supported, required

Document = dict[str, Any]

POLICIES = frozenset({"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"})
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_LENGTH = 2048
_SEARCH_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SEARCH = rf"{_SEARCH_LABEL}(\.{_SEARCH_LABEL})*"
_search_match = re.compile(_SEARCH).fullmatch


def validate_dns(spec: Document, path: str) -> list[FieldError]:
    policy, config = spec.get("dnsPolicy") or "", spec.get("dnsConfig")
    errors: list[FieldError] = []
    if not policy:
        errors.append(required(f"{path}.dnsPolicy"))
    elif policy not in POLICIES:
        errors.append(not_supported(f"{path}.dnsPolicy", policy, POLICIES))
    if config is None:
        if policy == "None":
            errors.append(required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None"))
        return errors
    return errors + _validate_config(config, policy, f"{path}.dnsConfig")


def _validate_config(config: Document, policy: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    servers = config.get("nameservers") or []
    if policy == "None" and not servers:
        problem = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        errors.append(required(f"{path}.nameservers", problem))
    if len(servers) > MAX_NAMESERVERS:
        problem = f"must not have more than {MAX_NAMESERVERS} nameservers"
        errors.append(invalid(f"{path}.nameservers", servers, problem))
    for index, server in enumerate(servers):
        if parse_lenient_ip(server) is None:
            errors.append(invalid(f"{path}.nameservers[{index}]", server, IP_EXPECTED))
    errors += _validate_searches(config.get("searches") or [], f"{path}.searches")
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))
    return errors


def _validate_searches(searches: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(searches) > MAX_SEARCHES:
        errors.append(invalid(path, searches, f"must not have more than {MAX_SEARCHES} search paths"))
    if len(" ".join(searches)) > MAX_SEARCH_LENGTH:
        problem = f"must not have more than {MAX_SEARCH_LENGTH} characters (including spaces) in the search list"
        errors.append(invalid(path, searches, problem))
    for index, search in enumerate(searches):
        name = search.removesuffix(".")
        if search != "." and (len(name) > 253 or not _search_match(name)):
            words = (
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
                "and must start and end with an alphanumeric character"
            )
            errors.append(invalid(f"{path}[{index}]", search, pattern_mismatch(words, _SEARCH, "example.com")))
    return errors


def validate_host_aliases(aliases: Sequence[Document], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, alias in enumerate(aliases):
        address = alias.get("ip") or ""
        if parse_lenient_ip(address) is None:
            errors.append(invalid(f"{path}[{index}].ip", address, IP_EXPECTED))
        for hostname in alias.get("hostnames") or ():
            errors += each_invalid(f"{path}[{index}].hostnames", hostname, check_subdomain(hostname))
    return errors
