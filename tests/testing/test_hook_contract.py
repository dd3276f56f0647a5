import types
from collections.abc import Iterable
from typing import Any

import pytest

from kuma_sd import Labels, PluginError, Target, hookimpl
from kuma_sd.testing import HookContract, call_hook, publication

heard: list[dict[str, Any]] = []


@hookimpl
def kuma_sd_published(output: str, change: object) -> None:
    heard.append({"output": output, "change": str(change)})


@hookimpl
def kuma_sd_transform(labels: Labels, target: Target) -> Iterable[Labels]:
    return [labels | {"team": target.labels.get("team", "nobody")}]


GOOD = types.SimpleNamespace(kuma_sd_published=kuma_sd_published, kuma_sd_transform=kuma_sd_transform)


class TestGood(HookContract):
    plugin = GOOD


@hookimpl
def changes_its_arguments(labels: Labels) -> Iterable[Labels]:
    labels["team"] = "mine"
    return [labels]


@hookimpl
def depends_on_earlier_calls(labels: Labels) -> Iterable[Labels]:
    heard.append({})
    return [labels | {"call": str(len(heard))}]


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        (changes_its_arguments, "the arguments for backend-01 were changed; return new label sets"),
        (depends_on_earlier_calls, "it gave other results"),
    ],
)
def test_a_transform_that_breaks_its_contract_fails(hook: object, message: str, tmp_path: Any) -> None:
    contract = HookContract()
    contract.plugin = types.SimpleNamespace(kuma_sd_transform=hook)
    with pytest.raises(AssertionError, match=message):
        contract.test_what_it_transforms_keeps_the_contract_of_transforms(tmp_path)


def test_a_misspelt_hook_fails_and_names_the_right_one() -> None:
    contract = HookContract()
    contract.plugin = types.SimpleNamespace(kuma_sd_publshed=kuma_sd_published)
    with pytest.raises(PluginError, match="did you mean 'kuma_sd_published'"):
        contract.test_its_hooks_exist_and_have_their_arguments()


def test_an_event_hook_can_be_called_as_the_daemon_does() -> None:
    first = publication("a")
    call_hook(GOOD, "kuma_sd_published", output="file_sd", publication=first, change=first.since(None))
    assert heard[-1] == {"output": "file_sd", "change": "1 added, 0 removed, 0 changed"}
    with pytest.raises(TypeError, match="kuma_sd_published has the arguments output, publication, change"):
        call_hook(GOOD, "kuma_sd_published", output="file_sd")
    with pytest.raises(TypeError, match="has no kuma_sd_stopping"):
        call_hook(GOOD, "kuma_sd_stopping")
