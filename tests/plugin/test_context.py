from pathlib import Path
from typing import Any

import pytest

from kuma_sd import Context, KumaSDError, PluginError
from kuma_sd.testing import context


@pytest.mark.parametrize("name", ["name", "title", "address", "log", "state_dir", "contributions"])
def test_nothing_in_it_can_be_replaced(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(context(), name, None)


def test_what_was_handed_over_cannot_be_changed_from_outside() -> None:
    given = context()
    given.report(lambda: {"role": "leader"})
    contributions: Any = given.contributions
    with pytest.raises(TypeError):
        contributions.served["/sd"] = print
    assert isinstance(contributions.collectors, tuple)
    given.report(lambda: {"epoch": "2"})
    assert (len(contributions.reports), len(given.contributions.reports)) == (1, 2)


def test_only_a_source_has_an_address() -> None:
    assert context(address="mine://somewhere").address.hosts == "somewhere"
    with pytest.raises(PluginError, match="only a source has an address"):
        assert context().address


def test_its_title_is_its_name_unless_it_has_none() -> None:
    assert (context(name="east").title, Context("", title="grpc://a:1").title) == ("east", "grpc://a:1")


def test_a_state_directory_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    given = context(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    assert given.state_dir.is_dir()
    with pytest.raises(KumaSDError, match=r"in a test, name one as in context\(directory\)"):
        assert context().state_dir
