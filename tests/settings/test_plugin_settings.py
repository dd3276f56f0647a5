import textwrap
from pathlib import Path

import pytest
from plugin_sources import OUTPUT_AND_TRANSFORM
from settings_kit import DESCRIPTIONS, Describes, settings_of

from kuma_sd import ConfigError, PluginError, hookimpl
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.manager import Plugins


class Hears:
    @hookimpl
    def kuma_sd_stopping(self) -> None: ...


@pytest.fixture
def plugins() -> Plugins:
    entries = [Direct(name, Describes(DESCRIPTIONS[name])) for name in ("source.grpc", "output.file_sd")]
    return Plugins([*entries, Direct("hears", Hears()), Direct("deaf", object())])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a plugin file with a hook."""
    tmp_path.chmod(0o755)
    return write(tmp_path / "mine.py", "@hookimpl\ndef kuma_sd_stopping(): ...")


def write(path: Path, source: str) -> Path:
    path.write_text("from kuma_sd import OutputPlugin, TransformPlugin, hookimpl\n" + textwrap.dedent(source))
    path.chmod(0o644)
    return path


def hearers(*flags: str, plugins: Plugins) -> list[str]:
    found = settings_of(*flags, plugins=plugins).plugins.listeners.get("kuma_sd_stopping", ())
    return [listener.plugin for listener in found]


def test_only_plugins_that_settings_name_hear_anything(plugins: Plugins) -> None:
    assert hearers(plugins=plugins) == []
    assert hearers("--plugins=hears", plugins=plugins) == ["hears"]
    assert hearers(plugins=plugins) == []


def test_a_plugin_may_be_a_single_file(plugins: Plugins, file: Path) -> None:
    assert hearers(f"--plugin-file={file}", "--plugins=hears", plugins=plugins) == ["hears", "mine"]


def test_a_list_in_the_settings_file_names_several(plugins: Plugins, file: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.py", "@hookimpl\ndef kuma_sd_stopping(): ...")
    (tmp_path / "conf").write_text(f"[kuma-sd]\nplugin-file = {other}\n  {file}\n")
    settings = settings_of(file=tmp_path / "conf", plugins=plugins)
    assert [listener.plugin for listener in settings.plugins.listeners["kuma_sd_stopping"]] == ["other", "mine"]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--plugins=heers", "flag --plugins: there is no plugin 'heers'; did you mean 'hears'?"),
        (
            "--plugins=deaf",
            (
                "flag --plugins: plugin 'deaf' of no distribution cannot be loaded: it has no hook; "
                "write a function like kuma_sd_published() with @hookimpl above it"
            ),
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_refused_with_where_it_is_named(
    plugins: Plugins, flag: str, message: str
) -> None:
    with pytest.raises(PluginError) as raised:
        settings_of(flag, plugins=plugins)
    assert str(raised.value) == message


def test_a_plugin_file_that_cannot_be_trusted_is_refused_by_option_and_name(plugins: Plugins, file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(ConfigError) as raised:
        settings_of(f"--plugin-file={file}", plugins=plugins)
    assert str(raised.value) == (
        f"flag --plugin-file: {str(file)!r} has {str(file)!r}, which may hold anything, since "
        f"{str(file)!r} can be written by other users; "
        f"run: chmod go-w {file}"
    )


def test_a_plugin_file_that_fails_is_refused_by_name(plugins: Plugins, file: Path) -> None:
    write(file, "1 / 0")
    with pytest.raises(PluginError) as raised:
        settings_of(f"--plugin-file={file}", plugins=plugins)
    assert str(raised.value) == (
        f"flag --plugin-file: plugin 'mine' of {file} cannot be loaded: "
        "ZeroDivisionError: division by zero (mine.py, line 2)"
    )


def test_an_edit_of_a_plugin_file_changes_the_settings_and_nothing_else_runs_it_again(
    plugins: Plugins, file: Path
) -> None:
    flag = f"--plugin-file={file}"
    first, second = settings_of(flag, plugins=plugins), settings_of(flag, plugins=plugins)
    assert first == second
    modules = [settings.plugins.manager.get_plugin("mine") for settings in (first, second)]
    assert modules[0] is modules[1] is not None
    write(file, "@hookimpl\ndef kuma_sd_stopping(): ...\nEDITED = True")
    third = settings_of(flag, plugins=plugins)
    assert third != second
    assert vars(third.plugins.manager.get_plugin("mine"))["EDITED"]


def test_two_plugin_files_of_one_name_are_refused(plugins: Plugins, file: Path) -> None:
    (file.parent / "more").mkdir(mode=0o755)
    other = write(file.parent / "more" / "mine.py", "@hookimpl\ndef kuma_sd_stopping(): ...")
    with pytest.raises(PluginError, match=r"plugin 'mine' is provided twice, by .*mine\.py and .*mine\.py; remove all"):
        settings_of(f"--plugin-file={file}", f"--plugin-file={other}", plugins=plugins)


def test_a_plugin_file_may_provide_an_output_and_a_transform_of_its_name(plugins: Plugins, file: Path) -> None:
    write(file, OUTPUT_AND_TRANSFORM)
    flags = f"--plugin-file={file}", "--output=yaml=mine", "--transform=t=mine"
    settings = settings_of(*flags, plugins=plugins)
    assert [output.plugin_name for output in settings.outputs] == ["mine"]
    assert [transform.plugin_name for transform in settings.outputs[0].transforms] == ["mine"]
    assert settings.plugins.provider("output", settings.outputs[0].plugin_name) == str(file)
    assert settings == settings_of(*flags, plugins=plugins)
