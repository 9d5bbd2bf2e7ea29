"""ServiceCIDRs (networking.k8s.io/v1; KEP-1880): one or two ranges, and a second may be added later."""

from typing import Any

from kubesvc.api.addresses import check_canonical_cidr, family_of
from kubesvc.api.validation.errors import FieldError, each_invalid, invalid, required
from kubesvc.api.validation.meta import IMMUTABLE

Document = dict[str, Any]

_PATH = "spec.cidrs"


def validate_service_cidr(service_cidr: Document, old: Document | None = None) -> list[FieldError]:
    cidrs = (service_cidr.get("spec") or {}).get("cidrs") or []
    if not cidrs:
        return [required(_PATH, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid(_PATH, cidrs, "may only hold up to 2 values")]
    errors: list[FieldError] = []
    for index, cidr in enumerate(cidrs):
        errors += each_invalid(f"{_PATH}[{index}]", cidr, check_canonical_cidr(cidr))
    if not errors and len({family_of(cidr.partition("/")[0]) for cidr in cidrs}) < len(cidrs):
        problem = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid(_PATH, cidrs, problem))
    return errors + ([] if old is None else _validate_change(cidrs, old))


def _validate_change(cidrs: list[str], old: Document) -> list[FieldError]:
    before = (old.get("spec") or {}).get("cidrs") or []
    extended = len(before) == 1 and len(cidrs) == 2 and cidrs[0] == before[0]
    return [] if cidrs == before or extended else [invalid(_PATH, cidrs, IMMUTABLE)]
