from typing import Any

from kuma_sd import Output, Publication, Source
from kuma_sd.plugin.member_check import faults, members_of
from kuma_sd.plugin.optional_interfaces import OF_OUTPUTS, OF_TRANSFORMS


class Plain(Output):
    def publish(self, publication: Publication) -> None: ...


def test_an_object_without_more_than_it_needs_has_no_fault() -> None:
    assert list(faults(Plain(), Output, OF_OUTPUTS)) == []


def test_methods_of_its_own_are_no_fault() -> None:
    class Busy(Plain):
        def facts(self) -> None: ...
        def accept(self) -> None: ...
        def path(self) -> None: ...

    assert list(faults(Busy(), Output, OF_OUTPUTS)) == []


def test_a_misspelt_member_is_named_with_what_was_meant() -> None:
    class Misspelt(Plain):
        def explian(self) -> None: ...
        def service_discovry(self) -> None: ...
        def file(self) -> None: ...

    assert list(faults(Misspelt(), Output, OF_OUTPUTS)) == [
        "Misspelt.explian is never used; did you mean explain (ExplainsGroups)?",
        "Misspelt.file is never used; did you mean files (WritesFiles)?",
        "Misspelt.service_discovry is never used; did you mean service_discovery (ReadByPrometheus)?",
    ]


def test_a_misspelt_member_is_named_though_the_base_class_has_an_empty_one_of_the_right_name() -> None:
    class Misspelt(Plain):
        closed = False

        def strat(self) -> None: ...

    assert list(faults(Misspelt(), Output, OF_OUTPUTS)) == [
        "Misspelt.strat is never used; did you mean start (Output)?"
    ]


def test_a_method_with_a_similar_name_of_its_own_is_no_fault() -> None:
    class Stateful(Plain):
        def restart(self) -> None: ...
        def state(self) -> None: ...
        def stats(self) -> None: ...

    assert list(faults(Stateful(), Output, OF_OUTPUTS)) == []


def test_what_is_missing_and_what_cannot_be_called_is_named() -> None:
    class Half:
        status = None

        def close(self, now: float) -> None: ...

    assert list(faults(Half(), Source, ())) == ["Half.close cannot be called as close()"]
    assert list(faults(object(), Source, ())) == [
        "object has no close, which every Source needs",
        "object has no status, which every Source needs",
    ]


def test_what_is_called_by_keyword_must_have_that_keyword() -> None:
    class Foreseeing:
        def failures(self, *, as_daemon: bool) -> list[Any]:
            return [as_daemon]

    class Misspelt:
        def failures(self, *, is_daemon: bool) -> list[Any]:
            return [is_daemon]

    assert list(faults(Foreseeing(), object, OF_OUTPUTS)) == []
    said = "Misspelt.failures cannot be called as failures(as_daemon=…)"
    assert list(faults(Misspelt(), object, OF_OUTPUTS)) == [said]


def test_a_plain_function_is_a_transform_without_faults() -> None:
    def keep(labels: Any, _target: Any) -> Any:
        return [labels]

    assert list(faults(keep, type(keep), OF_TRANSFORMS)) == []


def test_each_optional_interface_is_one_member() -> None:
    assert [len(members_of(interface)) for interface in (*OF_OUTPUTS, *OF_TRANSFORMS)] == [1] * 8
