"""Which objects of a collection a request means: its label and field selectors over stored bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kubesvc.api.resources import Resource
from kubesvc.api.selectors import EVERYTHING, LabelSelector, parse_field_selector, parse_label_selector
from kubesvc.apiserver.documents import from_json
from kubesvc.apiserver.request import Target


class _Metadata(msgspec.Struct, gc=False):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct, gc=False):
    """Only as much of an object as a label selector needs: the rest is skipped while decoding."""

    metadata: _Metadata


_labelled = msgspec.json.Decoder(_Labelled)


@dataclass(frozen=True, slots=True)
class Selection:
    """A conjunction of a label and a field selector for one resource. `name` is set where it can only be one."""

    labels: LabelSelector = EVERYTHING
    fields: Callable[[Mapping[str, Any]], bool] | None = None
    name: str = ""

    @property
    def everything(self) -> bool:
        return self.labels.everything and self.fields is None

    def matches(self, value: bytes) -> bool:
        """Whether the object with these bytes is meant."""
        if not self.labels.everything and not self.labels.matches(_labelled.decode(value).metadata.labels):
            return False
        return self.fields is None or self.fields(from_json(value))


def parse_selection(resource: Resource, target: Target, query: Mapping[str, str]) -> Selection:
    """Read `labelSelector` and `fieldSelector`; a watch of one name is a field selector too. Raises BadRequest."""
    labels = parse_label_selector(query.get("labelSelector", ""))
    text = query.get("fieldSelector", "")
    if target.name:
        text = f"metadata.name={target.name}" + (f",{text}" if text else "")
    if not text:
        return Selection(labels)
    fields = parse_field_selector(text)
    return Selection(labels, fields.compiled(resource), fields.exact("metadata.name") or "")
