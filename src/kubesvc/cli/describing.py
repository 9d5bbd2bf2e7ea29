"""P: an object as the lines that `describe` prints."""

import re
from typing import Any

_WIDTH = 26
_HIDDEN = {"managedFields", "selfLink"}
_FIRST = ("name", "namespace", "labels", "annotations")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def describe_object(document: dict[str, Any], slices: list[dict[str, Any]]) -> list[str]:
    """Metadata first, then spec and status; a Service with the endpoints of its slices."""
    metadata = document.get("metadata") or {}
    lines = [_line("Name", metadata.get("name", ""))]
    if metadata.get("namespace"):
        lines.append(_line("Namespace", metadata["namespace"]))
    for field in ("labels", "annotations"):
        shown = {k: v for k, v in (metadata.get(field) or {}).items() if k != _LAST_APPLIED}
        lines += _pairs(field.capitalize(), shown)
    if document.get("kind") == "Service":
        return lines + _service(document, slices)
    for section in ("spec", "status", "data", "endpoints", "ports", "subsets", "addressType"):
        if document.get(section):
            lines += _nested(section, document[section], 0)
    return lines


def _service(document: dict[str, Any], slices: list[dict[str, Any]]) -> list[str]:
    spec = document.get("spec") or {}
    lines = _pairs("Selector", spec.get("selector") or {})
    lines.append(_line("Type", spec.get("type", "")))
    if spec.get("externalName"):
        lines.append(_line("External Name", spec["externalName"]))
    if spec.get("ipFamilyPolicy"):
        lines.append(_line("IP Family Policy", spec["ipFamilyPolicy"]))
    if spec.get("ipFamilies"):
        lines.append(_line("IP Families", ",".join(spec["ipFamilies"])))
    if spec.get("clusterIP"):
        lines.append(_line("IP", spec["clusterIP"]))
        lines.append(_line("IPs", ",".join(spec.get("clusterIPs") or [spec["clusterIP"]])))
    ingress = ((document.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if ingress:
        lines.append(_line("LoadBalancer Ingress", ", ".join(i.get("ip") or i.get("hostname", "") for i in ingress)))
    for port in spec.get("ports") or ():
        name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
        lines.append(_line("Port", f"{name}  {port['port']}/{protocol}"))
        lines.append(_line("TargetPort", f"{port.get('targetPort', port['port'])}/{protocol}"))
        if port.get("nodePort"):
            lines.append(_line("NodePort", f"{name}  {port['nodePort']}/{protocol}"))
        lines.append(_line("Endpoints", _endpoints(slices, port)))
    lines.append(_line("Session Affinity", spec.get("sessionAffinity", "None")))
    policies = ("externalTrafficPolicy", "internalTrafficPolicy")
    return lines + [_line(title(field), spec[field]) for field in policies if spec.get(field)]


def _endpoints(slices: list[dict[str, Any]], port: dict[str, Any]) -> str:
    found = [
        f"{address}:{target['port']}"
        for piece in slices
        for target in piece.get("ports") or ()
        if (target.get("name") or "") == (port.get("name") or "") and target.get("port")
        for endpoint in piece.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    ]
    return ",".join(sorted(found)) or "<none>"


def _pairs(title: str, mapping: dict[str, Any]) -> list[str]:
    if not mapping:
        return [_line(title, "<none>")]
    pairs = [f"{key}={value}" for key, value in sorted(mapping.items())]
    return [_line(title, pairs[0]), *(" " * _WIDTH + pair for pair in pairs[1:])]


def _nested(key: str, value: Any, depth: int) -> list[str]:
    indent = "  " * depth
    if isinstance(value, dict):
        lines = [f"{indent}{title(key)}:"]
        for name, inner in value.items():
            if name not in _HIDDEN:
                lines += _nested(name, inner, depth + 1)
        return lines
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        lines = [f"{indent}{title(key)}:"]
        for item in value:
            body = [line for name, inner in item.items() for line in _nested(name, inner, depth + 2)]
            if body:
                body[0] = f"{indent}  - {body[0].lstrip()}"
            lines += body
        return lines
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return [_line(title(key), shown, indent)]


def title(field: str) -> str:
    """`clusterIP` becomes `Cluster IP`, `restartPolicy` becomes `Restart Policy`; keys with dots stay."""
    if not field.isalnum():
        return field
    words = re.findall(r"[A-Z]{2,}s?(?![a-z])|[A-Z]?[a-z]+|[A-Z]|\d+", field)
    return " ".join(word[0].upper() + word[1:] for word in words)


def _line(key: str, value: str, indent: str = "") -> str:
    return f"{indent + key + ':':<{_WIDTH}}{value}"
