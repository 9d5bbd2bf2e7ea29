"""IP families and their policy of a new or changed Service (KEP-563), before addresses are allocated."""

from collections.abc import Sequence

from kubesvc.api.addresses import Family, family_of
from kubesvc.api.service_strategy import is_headless, needs_cluster_ip
from kubesvc.api.validation import FieldError, invalid, not_supported
from kubesvc.apiserver.documents import Document

SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
_OTHER: dict[str, Family] = {"IPv4": "IPv6", "IPv6": "IPv4"}


def complete_families(spec: Document, available: Sequence[Family]) -> list[FieldError]:
    """Fill `ipFamilyPolicy` and `ipFamilies` in place; what the cluster cannot give comes back as errors.

    `available` are the families of the cluster's service ranges, the default first.
    """
    if not needs_cluster_ip(spec):
        return []
    families: list[str] = list(spec.get("ipFamilies") or ())
    addresses = [ip for ip in spec.get("clusterIPs") or () if ip != "None"]
    errors = _check(spec, families, addresses, available)
    if errors:
        return errors
    for index, address in enumerate(addresses):
        if index >= len(families):
            families.append(family_of(address))
    # A headless Service without a selector lists endpoints somebody else knows, of whichever family.
    selfless = is_headless(spec) and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or (REQUIRE if selfless and not families else SINGLE)
    families = families or [available[0]]
    dual = policy != SINGLE and (len(available) == 2 or (selfless and policy == REQUIRE))
    if dual and len(families) == 1:
        families.append(_OTHER[families[0]])
    spec["ipFamilyPolicy"] = policy
    spec["ipFamilies"] = families
    return []


def _check(
    spec: Document, families: Sequence[str], addresses: Sequence[str], available: Sequence[Family]
) -> list[FieldError]:
    policy = spec.get("ipFamilyPolicy")
    selfless = is_headless(spec) and not spec.get("selector")
    if policy in (None, SINGLE):
        for count, what in ((len(addresses), "clusterIPs"), (len(families), "ipFamilies")):
            if count > 1 and not (selfless and what == "ipFamilies" and policy is None):
                words = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple '{what}' are specified"
                return [invalid("spec.ipFamilyPolicy", policy or "", words)]
    strange = [
        not_supported(f"spec.ipFamilies[{i}]", family, _OTHER)
        for i, family in enumerate(families)
        if family not in _OTHER
    ]
    if selfless or strange:
        return strange
    missing = [
        invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster")
        for i, family in enumerate(families)
        if family not in available
    ]
    if missing:
        return missing
    if policy == REQUIRE and len(available) < 2:
        return [invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")]
    return []
