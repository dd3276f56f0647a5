import textwrap
from types import ModuleType

import pytest

from kuma_sd import PluginError
from kuma_sd.plugin.hook_check import arguments_of, check_hooks


def plugin(source: str) -> ModuleType:
    """Return a module with this source text."""
    module = ModuleType("plugin")
    exec("from kuma_sd import hookimpl\n" + textwrap.dedent(source), vars(module))  # noqa: S102 (the tests of this file)
    return module


def test_the_hooks_of_a_plugin_are_found() -> None:
    found = check_hooks(
        plugin("""
            import kuma_sd

            @hookimpl(tryfirst=True)
            def kuma_sd_published(output, change, *, retries=3): ...

            @hookimpl(wrapper=True)
            def kuma_sd_transform(labels):
                return (yield)

            @hookimpl(specname="kuma_sd_stopping")
            def say_goodbye(): ...
        """)
    )
    assert sorted(found) == ["kuma_sd_published", "kuma_sd_stopping", "kuma_sd_transform"]


def test_the_methods_of_an_object_are_hooks_too() -> None:
    module = plugin("""
        class Plugin:
            @hookimpl
            def kuma_sd_published(self, output): ...
    """)
    assert check_hooks(module.Plugin()) == ["kuma_sd_published"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "@hookimpl\ndef kuma_sd_publshed(output): ...",
            "there is no hook 'kuma_sd_publshed'; did you mean 'kuma_sd_published'?",
        ),
        ("def kuma_sd_publshed(output): ...", "there is no hook 'kuma_sd_publshed'; did you mean 'kuma_sd_published'?"),
        (
            "def kuma_sd_published(output): ...",
            "its kuma_sd_published() is not marked as a hook; write @hookimpl above it",
        ),
        (
            "@hookimpl\ndef kuma_sd_published(outptu): ...",
            "the hook kuma_sd_published has no argument 'outptu'; did you mean 'output'?",
        ),
        (
            "@hookimpl\ndef kuma_sd_published(xyz): ...",
            "the hook kuma_sd_published has no argument 'xyz'; it has output, publication, change",
        ),
        ("@hookimpl\ndef kuma_sd_stopping(when): ...", "the hook kuma_sd_stopping has no argument 'when'; it has none"),
        (
            "@hookimpl\nasync def kuma_sd_stopping(): ...",
            "its kuma_sd_stopping() is a coroutine function; hooks are plain functions, write def without async",
        ),
        (
            "@hookimpl(wrapper=True)\ndef kuma_sd_published():\n    yield",
            "its kuma_sd_published() cannot be a wrapper; only kuma_sd_transform can, with wrapper=True",
        ),
        (
            "@hookimpl(hookwrapper=True)\ndef kuma_sd_transform():\n    yield",
            "its kuma_sd_transform() cannot be a wrapper; only kuma_sd_transform can, with wrapper=True",
        ),
    ],
)
def test_a_mistake_is_an_error_that_names_what_is_right(source: str, message: str) -> None:
    with pytest.raises(PluginError) as raised:
        check_hooks(plugin(source))
    assert str(raised.value) == message


def test_a_hook_that_resembles_none_is_told_which_there_are() -> None:
    with pytest.raises(PluginError, match=r"there is no hook 'kuma_sd_q'; there are kuma_sd_.*, kuma_sd_published"):
        check_hooks(plugin("@hookimpl\ndef kuma_sd_q(): ..."))


def test_the_arguments_of_a_hook_are_those_of_its_specification() -> None:
    assert arguments_of("kuma_sd_transform") == ["labels", "target"]
