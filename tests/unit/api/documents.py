"""Hypothesis strategies: any document that fits a type of the schema table."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hypothesis import strategies as st

from kubesvc.api.table import Field, Form, Shape, schema

_words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
_moments = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def _moment(timespec: str) -> st.SearchStrategy[str]:
    return _moments.map(lambda moment: moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z")


_FORMS: Mapping[Form, st.SearchStrategy[Any]] = {
    Form.STRING: _words,
    Form.BOOL: st.booleans(),
    Form.INT32: st.integers(-(2**31), 2**31 - 1),
    Form.INT64: st.integers(-(2**63), 2**63 - 1),
    Form.BYTES: st.binary(max_size=8).map(lambda data: base64.b64encode(data).decode()),
    Form.TIME: _moment("seconds"),
    Form.MICRO_TIME: _moment("microseconds"),
    Form.QUANTITY: st.sampled_from(["0", "1", "500m", "64Mi", "1.5"]),
    Form.INT_OR_STRING: st.integers(-(2**31), 2**31 - 1) | _words,
    Form.ANY: st.dictionaries(_words, st.integers(0, 9) | _words, max_size=2),
    Form.FIELDS_V1: st.dictionaries(st.just("f:spec"), st.just({}), max_size=1),
    Form.STRINGS: st.lists(_words, max_size=2),
}


@cache
def documents(type_name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Documents of a type, any of its fields present or not."""
    fields = schema()[type_name].fields
    return st.fixed_dictionaries({}, optional={name: _values(field) for name, field in fields.items()})


def _values(field: Field) -> st.SearchStrategy[Any]:
    one = st.deferred(lambda: documents(field.type)) if field.form is Form.OBJECT else _FORMS[field.form]
    if field.shape is Shape.LIST:
        return st.lists(one, max_size=2)
    if field.shape is Shape.MAP:
        return st.dictionaries(_words, one, max_size=2)
    return one
