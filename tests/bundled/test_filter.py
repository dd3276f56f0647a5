from pathlib import Path

from kuma_sd.core.options import REQUIRED, options_of
from kuma_sd.prometheus.matchers import parse_matchers
from kuma_sd.testing import TransformContract, labels_of, target
from kuma_sd_bundled import filter as filter_plugin
from kuma_sd_bundled.filter import Filter, FilterOptions

PLUGIN = filter_plugin.kuma_sd_transform_plugin()


class TestFilter(TransformContract):
    plugin = PLUGIN

    def options(self, directory: Path) -> FilterOptions:
        del directory
        return FilterOptions(match=parse_matchers('mesh="default", env=~"prod|stage", odd!~"a+", dataplane!="x"'))


def keeps(match: str, labels: dict[str, str], **facts: str) -> bool:
    (*kept,) = Filter(FilterOptions(match=parse_matchers(match)))(labels, target(**facts))  # type: ignore[arg-type] # (texts only)
    assert kept in ([labels], [])
    return bool(kept)


def test_all_matchers_must_hold() -> None:
    labels = labels_of(target(mesh="payments", labels={"env": "prod"}))
    assert keeps('mesh="payments", env=~"prod|stage"', labels)
    assert not keeps('mesh="payments", env="stage"', labels)
    assert not keeps('mesh="default", env="prod"', labels)


def test_where_a_label_is_absent_the_facts_are_looked_up() -> None:
    facts = {"mesh": "payments", "service": "web", "name": "web-01", "control_plane": "east"}
    match = "mesh=payments, service=web, dataplane=web-01, control_plane=east"
    assert keeps(match, {}, **facts)
    assert keeps(match, {"mesh": ""}, **facts)
    assert not keeps(match, {"mesh": "other"}, **facts)
    assert not keeps("job=web", {}, **facts)


def test_it_explains_matcher_by_matcher() -> None:
    labels = {"env": "dev"}
    explained = Filter(FilterOptions(match=parse_matchers('env=dev, env!~"d.*", env=dev'))).explain(labels, target())
    assert list(explained) == [('env="dev"', labels), ('env!~"d.*"', None)]


def test_it_tells_which_labels_it_reads() -> None:
    assert Filter(FilterOptions(match=parse_matchers("a=b, c=d"))).reads == {"a", "c"}


def test_matchers_must_be_set() -> None:
    (match,) = options_of(FilterOptions)
    assert match.default is REQUIRED
