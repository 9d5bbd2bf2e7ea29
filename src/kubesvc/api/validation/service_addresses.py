"""`clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` together (KEP-563)."""

from typing import Any

from kubesvc.api.addresses import family_of
from kubesvc.api.service_strategy import is_headless
from kubesvc.api.validation.errors import FieldError, duplicate, each_invalid, invalid, not_supported, required
from kubesvc.api.validation.ips import ip_problems

Document = dict[str, Any]

FAMILIES = frozenset({"IPv4", "IPv6"})
FAMILY_POLICIES = frozenset({"SingleStack", "PreferDualStack", "RequireDualStack"})
_IPS, _FAMILIES, _POLICY = "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy"
_FIXED = "may not change once set"


def validate_cluster_ips(spec: Document, before: Document) -> list[FieldError]:
    if spec.get("type") == "ExternalName":
        return []  # none of the fields may be set: said elsewhere
    errors = _validate_pairing(spec) + _validate_families(spec)
    wrong = _validate_each_address(spec, before)
    errors += wrong
    addresses = spec.get("clusterIPs") or []
    if len(addresses) > 2:
        errors.append(invalid(_IPS, addresses, "may only hold up to 2 values"))
    if wrong:
        return errors  # what follows would only repeat them in other words
    if len(addresses) > 1 and len({family_of(address) for address in addresses}) < len(addresses):
        errors.append(invalid(_IPS, addresses, "may specify no more than one IP for each IP family"))
    return errors + _validate_agreement(spec)


def _validate_pairing(spec: Document) -> list[FieldError]:
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if not address:
        problem = "must be empty when `clusterIP` is not specified"
        return [invalid(_IPS, addresses, problem)] if addresses else []
    if not addresses:
        return [required(_IPS)]
    return [] if addresses[0] == address else [invalid(_IPS, addresses, "first value must match `clusterIP`")]


def _validate_families(spec: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in FAMILIES:
            errors.append(not_supported(f"{_FAMILIES}[{index}]", family, FAMILIES))
        if family in seen:
            errors.append(duplicate(f"{_FAMILIES}[{index}]", family))
        seen.add(family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(not_supported(_POLICY, policy, FAMILY_POLICIES))
    return errors


def _validate_each_address(spec: Document, before: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    addresses, grandfathered = spec.get("clusterIPs") or [], before.get("clusterIPs") or ()
    for index, address in enumerate(addresses):
        if index == 0 and address == "None":
            if len(addresses) > 1:
                errors.append(invalid(_IPS, addresses, "'None' must be the first and only value"))
            continue
        errors += each_invalid(f"{_IPS}[{index}]", address, ip_problems(address, grandfathered))
    return errors


def _validate_agreement(spec: Document) -> list[FieldError]:
    if is_headless(spec):
        return []
    pairs = zip(spec.get("clusterIPs") or (), spec.get("ipFamilies") or (), strict=False)
    return [
        invalid(f"{_IPS}[{index}]", address, f"expected an {family} value as indicated by `ipFamilies[{index}]`")
        for index, (address, family) in enumerate(pairs)
        if family in FAMILIES and family_of(address) != family
    ]


def validate_cluster_ips_update(new: Document, old: Document) -> list[FieldError]:
    """Addresses and families stay; only the secondary comes and goes, or all of them by way of ExternalName."""
    if "ExternalName" in (new.get("type"), old.get("type")):
        return []
    if is_headless(new) and is_headless(old):
        return []
    errors = _validate_kept(new, old, "clusterIPs", "clusterIP")
    if is_headless(new) != is_headless(old):
        return errors
    return errors + _validate_kept(new, old, "ipFamilies", "ipFamily")


def _validate_kept(new: Document, old: Document, field: str, singular: str) -> list[FieldError]:
    """One of the two lists: equal, or the secondary added, or the secondary released with the policy saying so."""
    now, before, path = new.get(field) or [], old.get(field) or [], f"spec.{field}"
    if len(now) == len(before):
        return [
            invalid(f"{path}[{i}]", now, _FIXED)
            for i, pair in enumerate(zip(now, before, strict=True))
            if pair[0] != pair[1]
        ]
    errors: list[FieldError] = []
    if not now:
        errors.append(invalid(f"{path}[0]", now, f"primary {singular} can not be unset"))
    elif before and now[0] != before[0]:
        errors.append(invalid(f"{path}[0]", now, _FIXED))
    if len(now) == 1 and len(before) == 2 and new.get("ipFamilyPolicy") != "SingleStack":
        problem = f"must be set to 'SingleStack' when releasing the secondary {singular}"
        errors.append(invalid(_POLICY, new.get("ipFamilyPolicy"), problem))
    return errors
