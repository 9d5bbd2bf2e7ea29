"""Turn the Kubernetes field table into the compact schema.json that the package ships.

    python scripts/generate_schema.py TABLE.json [OUT.json]

TABLE.json holds what the published OpenAPI document and protobuf definitions say of every type;
`scalar_pointers.txt` beside this script adds the one fact neither says. Each field becomes
`[number, type]` or `[number, type, extras]`; the type is written as Go writes it:

    []core.v1.ServicePort    a list        *int32    absent and zero differ
    {}string                 a map         string!   required
    ~core.v1.VolumeSource    inlined in JSON, a message of its own on the wire

extras: `s` patch strategies, `k` patch merge key, `l` list type, `m` list map keys, `a` atomic map.
"""

import json
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_TARGET = _HERE.parent / "src/kubesvc/api/schema.json"
_EXTRAS = {"patchStrategy": "s", "patchMergeKey": "k", "listType": "l", "listMapKeys": "m"}


def compact_field(owner: str, name: str, field: dict[str, Any], pointers: frozenset[str]) -> list[Any]:
    """One field of the table in the short notation."""
    notation: str = field["type"]
    if f"{owner}.{name}" in pointers:
        notation = f"*{notation}"
    if field.get("list"):
        notation = f"[]{notation}"
    if field.get("map"):
        notation = f"{{}}{notation}"
    if field.get("inline"):
        notation = f"~{notation}"
    if field.get("required"):
        notation = f"{notation}!"
    extras = {short: field[long] for long, short in _EXTRAS.items() if long in field}
    if field.get("mapType") == "atomic":
        extras["a"] = True
    return [field["number"], notation, extras] if extras else [field["number"], notation]


def compact_type(name: str, kind: dict[str, Any], pointers: frozenset[str]) -> dict[str, Any]:
    """One type of the table: its fields, and where it is a kind of its own its group, version and kind."""
    out: dict[str, Any] = {"f": {f: compact_field(name, f, body, pointers) for f, body in kind["fields"].items()}}
    if gvk := kind.get("gvk"):
        out["g"] = [gvk["group"], gvk["version"], gvk["kind"]]
    if kind.get("mapType") == "atomic":
        out["a"] = True
    return out


def compact_table(table: dict[str, Any], pointers: frozenset[str]) -> dict[str, Any]:
    """The whole table, sorted so that a regenerated file shows only real differences."""
    return {name: compact_type(name, kind, pointers) for name, kind in sorted(table["types"].items())}


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    table = json.loads(Path(arguments[0]).read_text())
    lines = (_HERE / "scalar_pointers.txt").read_text().splitlines()
    pointers = frozenset(line for line in lines if line and not line.startswith("#"))
    types = compact_table(table, pointers)
    rows = [f"{json.dumps(name)}:{json.dumps(kind, separators=(',', ':'))}" for name, kind in types.items()]
    target = Path(arguments[1]) if len(arguments) > 1 else _TARGET
    target.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print(f"{target.name}: {len(types)} types", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
