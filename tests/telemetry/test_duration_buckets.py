import pytest

from kuma_sd.telemetry.duration_buckets import SECONDS, Histogram


def test_what_took_just_as_long_as_a_bucket_is_in_it() -> None:
    histogram = Histogram().observe(0.01).observe(0.010001).observe(3600.0)
    assert histogram.counts[:2] == (1, 1)
    assert histogram.counts[-1] == 1
    assert histogram.total == pytest.approx(3600.020001)
    assert histogram.last == 3600.0


def test_an_observation_leaves_the_one_before_as_it_was() -> None:
    before = Histogram()
    before.observe(1.0)
    assert before == Histogram()


def test_prometheus_gets_the_buckets_cumulated() -> None:
    cumulated = Histogram().observe(0.02).observe(0.3).observe(100.0).cumulated
    assert [end for end, _ in cumulated] == [*map(str, SECONDS), "+Inf"]
    assert [count for _, count in cumulated] == [0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3]
