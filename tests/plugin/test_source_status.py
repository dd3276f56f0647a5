import pytest

from kuma_sd import SourceStatus


@pytest.mark.parametrize(
    ("status", "age"),
    [
        (SourceStatus(), None),
        (SourceStatus(awaiting=90.0), None),
        (SourceStatus(connected=True, contact=10.0), 0),
        (SourceStatus(connected=True, contact=90.0, due=100.0), 0),
        (SourceStatus(connected=True, contact=90.0, due=99.0), 10),
        (SourceStatus(contact=90.0), 10),
        (SourceStatus(contact=101.0), 0),
    ],
)
def test_age_is_none_before_the_first_contact_and_0_while_in_contact(status: SourceStatus, age: float | None) -> None:
    assert status.age(100.0) == age


@pytest.mark.parametrize(
    ("status", "silence"),
    [
        (SourceStatus(), 0),
        (SourceStatus(contact=90.0), 0),
        (SourceStatus(awaiting=60.0), 40),
        (SourceStatus(connected=True, contact=60.0), 0),
        (SourceStatus(connected=True, contact=60.0, due=110.0), 0),
        (SourceStatus(connected=True, contact=60.0, due=99.0), 40),
    ],
)
def test_silence_is_how_long_an_answer_is_overdue(status: SourceStatus, silence: float) -> None:
    assert status.silence(100.0) == silence
