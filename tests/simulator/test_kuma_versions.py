import pytest

from kuma_sd import ConfigError
from kuma_sd.simulator import kuma
from kuma_sd.simulator.kuma_versions import EVERYTHING, LINES, Catalog, Strangers


@pytest.mark.parametrize(
    ("versions", "transports"),
    [
        (("0.3.2", "0.7.3", "1.0.8", "1.1.6"), {"grpc-v1alpha1"}),
        (("1.2.0", "1.2.3"), {"grpc-v1alpha1", "grpc-v1", "http-v1"}),
        (("1.3.0", "1.8.8", "2.0.0", "2.6.15"), {"grpc-v1", "http-v1"}),
        (("2.7.0", "2.14.3", "v2.14.3", "3.0", "3.0.9"), {"http-v1"}),
    ],
)
def test_each_version_speaks_what_it_spoke(versions: tuple[str, ...], transports: set[str]) -> None:
    assert [set(kuma(version).transports) for version in versions] == [transports] * len(versions)


def test_what_changed_changed_in_the_release_that_changed_it() -> None:
    assert [kuma(version).tls for version in ("1.8.8", "2.0.0")] == [False, True]
    assert [kuma(version).labels for version in ("2.14.3", "3.0")] == [True, False]
    assert [kuma(version).node_required for version in ("2.5.11", "2.6.0", "2.11.18", "2.12.0")] == [0, 1, 1, 0]
    assert [kuma(version).wakes_all for version in ("2.5.11", "2.6.15", "2.7.0")] == [True, False, True]
    assert [kuma(version).catalog for version in ("0.7.3", "1.0.0", "1.0.8", "1.1.0")] == [
        Catalog.WITH_MADS,
        Catalog.WITHOUT_MADS,
        Catalog.WITHOUT_MADS,
        Catalog.NONE,
    ]
    assert [kuma(version).strangers for version in ("2.5.11", "2.6.0", "2.7.0", "2.10.0")] == list(Strangers)


def test_without_a_choice_everything_is_spoken() -> None:
    assert all(set(line.transports) <= set(EVERYTHING.transports) for line in LINES)


@pytest.mark.parametrize("version", ["0.3.1", "0.1"])
def test_a_kuma_without_mads_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=f"Kuma {version} has no MADS"):
        kuma(version)


@pytest.mark.parametrize("version", ["9.9", "0.8", "1.9.0", "2.15.1", "3.1", "99.0.0"])
def test_a_kuma_that_does_not_exist_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=rf"Kuma {version} is not known here"):
        kuma(version)


@pytest.mark.parametrize("version", ["", "2", "two", "2.6.15.1", "2.6.x"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a version of Kuma like 2\.6\.15"):
        kuma(version)
