from collections.abc import Iterable
from typing import Any

import pytest

from kuma_sd import Labels, Target, TransformError, hookimpl
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.hook_implementations import HookTransform
from kuma_sd.plugin.manager import Plugins
from kuma_sd.testing import target


def loaded(**plugins: object) -> Plugins:
    """Return plugins that have been loaded in this order."""
    found = Plugins([Direct(name, plugin) for name, plugin in plugins.items()])
    for name in plugins:
        found.hooks(name)
    return found


class Adds:
    """Adds its name to a label, once for each copy."""

    def __init__(self, name: str, copies: int = 1) -> None:
        self._name = name
        self._copies = copies

    @hookimpl
    def kuma_sd_transform(self, labels: Labels) -> Iterable[Labels]:
        return [labels | {"by": labels.get("by", "") + self._name}] * self._copies


class Wraps:
    @hookimpl(wrapper=True)
    def kuma_sd_transform(self, labels: Labels, target: Target) -> Any:
        results = yield
        return [result | {"before": labels.get("by", ""), "mesh": target.mesh} for result in results]


def through(steps: Iterable[HookTransform], labels: Labels) -> list[Labels]:
    results = [labels]
    for step in steps:
        results = [result for before in results for result in step(before, target())]
    return results


def test_each_plugin_transforms_what_the_one_before_returned() -> None:
    steps = loaded(a=Adds("a"), b=Adds("b", copies=2), c=Adds("c")).transforms
    assert [step.name for step in steps] == ["a", "b", "c"]
    assert through(steps, {"by": "."}) == [{"by": ".abc"}, {"by": ".abc"}]


def test_a_wrapper_sees_what_all_others_return_together() -> None:
    (step,) = loaded(a=Adds("a"), w=Wraps(), b=Adds("b", copies=2)).transforms
    assert step.name == "w, a, b"
    assert through([step], {"by": "."}) == [{"by": ".ab", "before": ".", "mesh": "default"}] * 2


def test_steps_with_equal_hooks_are_known_to_be_equal() -> None:
    one, other = Adds("a"), Adds("a")
    steps = [loaded(a=plugin).transforms for plugin in (one, one, other)]
    assert steps[0] == steps[1] != steps[2]


@pytest.mark.parametrize(("returned", "what"), [(None, "nothing"), ({"a": "b"}, "a label set")])
def test_what_a_first_attempt_returns_is_an_error_that_says_what_to_return(returned: Any, what: str) -> None:
    class Beginner:
        @hookimpl
        def kuma_sd_transform(self) -> Any:
            return returned

    message = f"kuma_sd_transform() of mine returned {what}; return a list of label sets, like [labels]"
    with pytest.raises(TransformError) as raised:
        through(loaded(mine=Beginner()).transforms, {})
    assert str(raised.value) == message


def test_a_listener_gets_the_arguments_that_it_names() -> None:
    class Listens:
        @hookimpl
        def kuma_sd_published(self, change: object, output: str, more: int = 3) -> tuple[object, ...]:
            return change, output, more

    ((listener,),) = loaded(mine=Listens()).listeners.values()
    assert listener.plugin == "mine"
    assert listener.call(output="file_sd", publication=None, change="c") == ("c", "file_sd", 3)
