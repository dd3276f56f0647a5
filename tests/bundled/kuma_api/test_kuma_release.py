"""The version of Kuma is read from what any server may say."""

import pytest

from kuma_sd_bundled.kuma_api.documents import Index
from kuma_sd_bundled.kuma_api.kuma_release import KumaRelease, release_of


@pytest.mark.parametrize(
    ("version", "number"),
    [("2.14.3", (2, 14)), ("v3.0.0-rc1", (3, 0)), ("2." + "1" * 5000, None), ("1" * 5000, None), ("2.\u0661", None)],
)
def test_a_version_is_two_short_numbers_or_is_not_known(version: str, number: tuple[int, int] | None) -> None:
    assert release_of(Index(version=version, tagline="Kuma")).number == number


def test_without_a_version_kuma_2_is_known_by_its_tagline() -> None:
    assert release_of(Index(tagline="Kuma")) == KumaRelease(None, third=False)
    assert release_of(Index()) == KumaRelease(None, third=True)
