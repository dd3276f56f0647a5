import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugin_sources import OUTPUT_AND_TRANSFORM

from kuma_sd import Context, Output, OutputPlugin, SourcePlugin, TransformPlugin, hookimpl
from kuma_sd.core.errors import PluginError
from kuma_sd.plugin.catalogue import Available, Direct
from kuma_sd.plugin.manager import Plugins

Install = Callable[..., None]

GOOD = f"""
from kuma_sd import OutputPlugin, SourcePlugin, TransformPlugin, hookimpl
{OUTPUT_AND_TRANSFORM}
@hookimpl
def kuma_sd_source_plugin():
    return SourcePlugin(open=print)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install distributions: each a folder on the path with a module and its metadata, as pip leaves them."""
    before = set(sys.modules)

    def install(distribution: str, module: str, source: str, *entries: str) -> None:
        folder = tmp_path / distribution
        metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        points = "\n".join(f"{entry} = {module}" for entry in entries)
        (metadata / "entry_points.txt").write_text(f"[kuma_sd.plugins]\n{points}\n")
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(str(folder))

    yield install
    for module in set(sys.modules) - before:
        del sys.modules[module]


def test_an_installed_plugin_is_loaded_by_kind_and_name(install: Install) -> None:
    entries = ("output.memory", "transform.upper", "source.consul", "source.consuls")
    install("kuma-sd-good", "good_plugin", GOOD, *entries)
    plugins = Plugins()
    assert isinstance(plugins.output("memory"), OutputPlugin)
    assert isinstance(plugins.transform("upper"), TransformPlugin)
    assert isinstance(plugins.source("consul"), SourcePlugin)
    assert plugins.source("consuls") == plugins.source("consul")
    assert plugins.provider("output", "memory") == "kuma-sd-good 1.0"
    assert plugins.output("memory") is plugins.output("memory")


def test_listing_imports_nothing(install: Install) -> None:
    install("kuma-sd-good", "good_plugin", GOOD, "output.memory", "source.consul")
    available = Plugins().available()
    assert Available("output", "memory", "kuma-sd-good", "1.0") in available
    assert Available("source", "consul", "kuma-sd-good", "1.0") in available
    assert Available("output", "file_sd", "kuma-sd", available[0].version) in available
    assert "good_plugin" not in sys.modules


def test_only_what_is_asked_for_is_imported(install: Install) -> None:
    install("kuma-sd-good", "good_plugin", GOOD, "output.memory")
    install("kuma-sd-other", "other_plugin", GOOD, "output.paper")
    Plugins().output("memory")
    assert "good_plugin" in sys.modules
    assert "other_plugin" not in sys.modules


BROKEN = {
    "an import that fails": ("import nothing_of_this_name", "ModuleNotFoundError: "),
    "a module that exits": ("raise SystemExit('no licence')", "SystemExit: no licence (bad_plugin.py, line 1)"),
    "a misspelt hook": (
        "from kuma_sd import hookimpl\n@hookimpl\ndef kuma_sd_output_plugins(): return 1",
        "there is no hook 'kuma_sd_output_plugins'; did you mean 'kuma_sd_output_plugin'?",
    ),
    "a hook with an argument": (
        "from kuma_sd import hookimpl\n@hookimpl\ndef kuma_sd_output_plugin(options): return 1",
        "the hook kuma_sd_output_plugin has no argument 'options'; it has none",
    ),
    "no hook at all": ("", "it has no kuma_sd_output_plugin() that returns a description"),
    "another hook": (
        "from kuma_sd import hookimpl\n@hookimpl\ndef kuma_sd_stopping(): ...",
        "it has no kuma_sd_output_plugin() that returns a description",
    ),
    "a hook that raises": (
        "from kuma_sd import hookimpl\n@hookimpl\ndef kuma_sd_output_plugin():\n    return 1 / 0",
        "ZeroDivisionError: ",
    ),
    "a hook that returns something else": (
        "from kuma_sd import hookimpl\n@hookimpl\ndef kuma_sd_output_plugin(): return 'bad'",
        "it describes itself with 'bad', which is no OutputPlugin",
    ),
    "options that are no declaration": (
        (
            "from kuma_sd import OutputPlugin, hookimpl\n@hookimpl\ndef kuma_sd_output_plugin():\n"
            "    return OutputPlugin(open=print, options=dict)"
        ),
        "TypeError: <class 'dict'> is not a frozen dataclass",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_an_error_that_names_its_distribution(install: Install, source: str, reason: str) -> None:
    install("kuma-sd-bad", "bad_plugin", source, "output.bad")
    with pytest.raises(PluginError) as raised:
        Plugins().output("bad")
    said = f"output 'bad' of kuma-sd-bad 1.0 cannot be loaded: {reason}"
    # What follows the kind of an exception is another's.
    assert str(raised.value).startswith(said) if reason.endswith(": ") else str(raised.value) == said
    assert "\n" not in str(raised.value)


def test_a_broken_plugin_stops_no_other(install: Install) -> None:
    install("kuma-sd-bad", "bad_plugin", "import nothing_of_this_name", "output.bad")
    install("kuma-sd-good", "good_plugin", GOOD, "output.memory", "a.b.c", "action.memory")
    loaded = {loaded_plugin.available.full_name: loaded_plugin for loaded_plugin in Plugins().load_all()}
    assert loaded["output.memory"].plugin is not None
    assert loaded["output.memory"].error is None
    assert loaded["output.bad"].plugin is None
    assert str(loaded["output.bad"].error).startswith(
        "output 'bad' of kuma-sd-bad 1.0 cannot be loaded: ModuleNotFound"
    )
    kinds = "source.NAME, transform.NAME, output.NAME, command.NAME, NAME"
    for entry in ("a.b.c", "action.memory"):
        message = f"entry point '{entry}' of kuma-sd-good 1.0 is not named as one of {kinds}"
        assert str(loaded[entry].error) == message


def test_two_plugins_of_one_kind_and_name_are_refused(install: Install) -> None:
    install("kuma-sd-good", "good_plugin", GOOD, "output.memory")
    install("kuma-sd-rival", "rival_plugin", GOOD, "output.memory", "output.paper")
    plugins = Plugins()
    with pytest.raises(PluginError) as raised:
        plugins.output("memory")
    assert str(raised.value) == (
        "output 'memory' is provided twice, by kuma-sd-good 1.0 and kuma-sd-rival 1.0; remove all but one of them"
    )
    assert plugins.output("paper")
    assert not {"good_plugin"} & set(sys.modules)


class Memory:
    @hookimpl
    def kuma_sd_output_plugin(self) -> OutputPlugin:
        return OutputPlugin(open=never)


def never(_options: object, _context: Context) -> Output:
    raise AssertionError("listing and choosing open nothing")


DIRECT = Plugins([Direct("output.memory", Memory()), Direct("output.other", Memory())])


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("output", "memry", "there is no output 'memry'; did you mean 'memory'?"),
        ("output", "xyz", "there is no output 'xyz'; installed: memory, other"),
        ("transform", "xyz", "there is no transform 'xyz'; installed: none"),
        ("source", "ftp", "there is no source for the URL scheme 'ftp'; installed: none"),
    ],
)
def test_an_unknown_plugin_is_refused_with_what_there_is(kind: str, name: str, message: str) -> None:
    with pytest.raises(PluginError) as raised:
        getattr(DIRECT, kind)(name)
    assert str(raised.value) == message


def test_an_object_at_hand_is_a_plugin_as_well() -> None:
    assert DIRECT.output("memory") == OutputPlugin(open=never)
    assert DIRECT.available() == [
        Available("output", "memory", "no distribution", ""),
        Available("output", "other", "no distribution", ""),
    ]


def test_a_class_in_place_of_its_instance_is_refused() -> None:
    with pytest.raises(PluginError) as raised:
        Plugins([Direct("output.memory", Memory)]).output("memory")
    assert str(raised.value).startswith("output 'memory' of no distribution cannot be loaded: ")


def test_the_bundled_plugins_are_found() -> None:
    names = {
        (available_plugin.kind, available_plugin.name)
        for available_plugin in Plugins().available()
        if available_plugin.distribution == "kuma-sd"
    }
    assert {("source", "grpc"), ("output", "file_sd")} <= names


HEARER = """
from kuma_sd import hookimpl

@hookimpl
def kuma_sd_stopping():
    print("{0}")

@hookimpl
def kuma_sd_transform(labels, target):
    return [labels | {{"by": labels.get("by", "") + "{0}"}}]
"""


def test_a_plugin_may_have_hooks_only(install: Install) -> None:
    install("kuma-sd-hearer", "hearer", HEARER.format("a"), "hearer")
    plugins = Plugins()
    assert Available("plugin", "hearer", "kuma-sd-hearer", "1.0") in plugins.available()
    assert plugins.hooks("hearer") == ["kuma_sd_stopping", "kuma_sd_transform"]
    assert [listener.plugin for listener in plugins.listeners["kuma_sd_stopping"]] == ["hearer"]
    with pytest.raises(PluginError, match="there is no plugin 'hearr'; did you mean 'hearer'"):
        plugins.hooks("hearr")


def test_a_plugin_without_any_hook_is_an_error(install: Install) -> None:
    install("kuma-sd-empty", "empty_plugin", "", "empty")
    with pytest.raises(PluginError, match=r"plugin 'empty' of kuma-sd-empty 1\.0 cannot be loaded: it has no hook"):
        Plugins().hooks("empty")


def test_hooks_are_called_in_the_order_in_which_plugins_were_loaded(install: Install) -> None:
    for name in "abcd":
        source = HEARER.format(name)
        source = source.replace("@hookimpl", "@hookimpl(tryfirst=True)") if name == "c" else source
        source = source.replace("@hookimpl", "@hookimpl(trylast=True)") if name == "a" else source
        install(f"kuma-sd-{name}", f"hearer_{name}", source, name)
    plugins = Plugins()
    for name in "abcd":
        plugins.hooks(name)
    assert [listener.plugin for listener in plugins.listeners["kuma_sd_stopping"]] == ["c", "b", "d", "a"]
    assert [step.name for step in plugins.transforms] == ["c", "b", "d", "a"]


def test_one_object_with_several_names_has_its_hooks_called_once() -> None:
    class Both(Memory):
        @hookimpl
        def kuma_sd_stopping(self) -> None: ...

    both = Both()
    plugins = Plugins([Direct("output.memory", both), Direct("output.other", both), Direct("both", both)])
    assert plugins.output("memory") == plugins.output("other")
    plugins.hooks("both")
    assert [listener.plugin for listener in plugins.listeners["kuma_sd_stopping"]] == ["output.memory"]


def test_another_reading_of_the_settings_has_nothing_loaded_but_imports_nothing_twice(install: Install) -> None:
    install("kuma-sd-good", "good_plugin", GOOD, "output.memory")
    before = Plugins()
    memory = before.output("memory")
    after = before.fresh()
    assert after.manager.list_name_plugin() == []
    assert after.output("memory") is memory
    assert [name for name, _ in after.manager.list_name_plugin()] == ["output.memory"]


def test_a_plugin_that_cannot_be_loaded_leaves_no_hook_behind(install: Install) -> None:
    install("kuma-sd-bad", "bad_plugin", HEARER.format("bad") + "\n@hookimpl\ndef kuma_sd_published(x): ...", "bad")
    plugins = Plugins()
    with pytest.raises(PluginError, match=r"plugin 'bad' of kuma-sd-bad 1\.0 cannot be loaded: the hook kuma_sd_publ"):
        plugins.hooks("bad")
    assert plugins.listeners == {}
