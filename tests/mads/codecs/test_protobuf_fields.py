import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import SourceError
from kuma_sd.mads.codecs.protobuf_fields import Inner, refuse_many_fields

FEW = 10

EMPTY = {
    "texts": b"\x0a\x00",
    "varints": b"\x30\x01",
    "long varints": b"\x30" + b"\x80" * 9 + b"\x01",
    "fixed32": b"\x35abcd",
    "fixed64": b"\x31abcdefgh",
    "groups": b"\x33\x34",
    "long tags": b"\xfa\xff\xff\xff\x0f\x00",
}


@pytest.mark.parametrize("field", EMPTY.values(), ids=EMPTY)
def test_fields_of_every_type_are_counted(field: bytes) -> None:
    with pytest.raises(SourceError, match="it has more than 10 values"):
        refuse_many_fields(field * 20, {}, FEW)


def test_what_is_text_to_us_counts_as_one_field_and_a_message_with_all_of_its_own() -> None:
    message = b"\x12\x28" + b"\x22\x00" * 20
    refuse_many_fields(message, {}, FEW)
    with pytest.raises(SourceError):
        refuse_many_fields(message, {2: {}}, FEW)


@pytest.mark.parametrize("inner", [{}, {2: {4: {}}}])
@given(data=st.binary(min_size=30, max_size=300))
def test_whatever_the_bytes_nothing_but_a_source_error_comes_out(data: bytes, inner: Inner) -> None:
    for some in (data, b"\xff" * 300 + data, b"\x12" + data):
        with contextlib.suppress(SourceError):
            refuse_many_fields(some, inner, FEW)
