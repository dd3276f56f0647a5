import msgspec
import pytest

from kuma_sd import UNREADABLE, SourceError
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
