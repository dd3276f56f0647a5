import contextlib
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kuma_sd import UNREADABLE, SourceError
from kuma_sd.core import value_limits
from kuma_sd.core.value_limits import MOST_VALUES, most_resources, refuse_many_json_values


def test_larger_responses_may_have_more_resources() -> None:
    assert most_resources(2**28) == 2**21
    assert most_resources(1024) == MOST_VALUES, "a small limit on the size is no small limit on the resources"


@pytest.mark.parametrize("values", [b"{}", b"[]", b"1", b'""', b'{"a":{}}', b"[[]]"])
def test_json_with_as_many_values_as_are_allowed_passes_and_with_more_does_not(values: bytes) -> None:
    allowed = b"[%b]" % b",".join([values] * 100)
    refuse_many_json_values(allowed, 100)
    with pytest.raises(SourceError, match="it has more than 100 values"):
        refuse_many_json_values(b"[%b]" % b",".join([values] * 500), 100)


def test_raw_json_is_counted_too_and_the_error_is_one_of_those_for_unreadable_data() -> None:
    with pytest.raises(UNREADABLE):
        refuse_many_json_values(msgspec.Raw(b"[%b1]" % (b"1," * 500)), 100)


def commas(value: Any) -> int:
    """Return how many commas stand between the values in it."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return max(0, len(values) - 1) + sum(map(commas, values))


texts = st.text(st.sampled_from('",\\a/\n'), max_size=9)
values = st.recursive(texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values, st.integers(1, 9), st.sampled_from([None, 2]))
def test_commas_in_texts_do_not_count_wherever_a_part_ends(
    monkeypatch: pytest.MonkeyPatch, value: Any, part: int, indent: int | None
) -> None:
    monkeypatch.setattr(value_limits, "_COUNTED_TOGETHER", part)
    # Large enough, and with enough commas in texts, to be counted.
    body = json.dumps(["," * 200, value], indent=indent).encode()
    most = commas(value) + 1
    refuse_many_json_values(body, most)
    with pytest.raises(SourceError):
        refuse_many_json_values(body, most - 1)


@pytest.mark.parametrize(
    "text", [b',""', b',\\"', b",\\\\", b",a"], ids=["quotes", "escaped quotes", "backslashes", "letters"]
)
def test_counting_takes_little_memory_whatever_is_in_texts(text: bytes) -> None:
    body = b'["%b"]' % (text * 2_000_000)
    tracemalloc.start()
    with contextlib.suppress(SourceError):
        refuse_many_json_values(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(body)
