"""Bytes that somebody else made are data, or unreadable; nothing else."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd.core.decoding_errors import UNREADABLE


class Held(msgspec.Struct):
    name: str = ""
    raw: msgspec.Raw = msgspec.Raw(b"")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"name":1}', b'{"name":"\xff"}', b'{"raw":' + b"[" * 5000])
def test_what_is_no_such_data_is_unreadable(data: bytes) -> None:
    with pytest.raises(UNREADABLE):
        msgspec.json.decode(data, type=Held)


@given(st.binary(max_size=50))
def test_nothing_else_is_raised(data: bytes) -> None:
    with contextlib.suppress(*UNREADABLE):
        msgspec.json.decode(b'{"name":"%b"}' % data, type=Held)
