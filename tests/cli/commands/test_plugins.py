import pytest
from settings_kit import DESCRIPTIONS, Describes

from kuma_sd import __version__
from kuma_sd.cli.main import main
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.manager import Plugins


def test_the_bundled_plugins_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["KIND", "NAME", "FROM", "OPTIONS"]
    path = "/var/run/kuma-prometheus-sd/kuma.file_sd.json"
    assert ["output", "file_sd", "kuma-sd", __version__, "path", "=", path] in lines
    assert ["source", "grpc", "kuma-sd", __version__, "name", "=", "kuma_sd"] in lines
    assert ["format", "=", "auto"] in lines


def test_broken_plugins_are_listed_with_the_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        Direct("output.null", Describes(DESCRIPTIONS["output.null"])),
        Direct("output.bad", object()),
        Direct("misnamed.a.b", object()),
        Direct("output.push", Describes(DESCRIPTIONS["output.push"])),
    ]
    monkeypatch.setattr("kuma_sd.plugin.manager.Plugins", lambda: Plugins(entries))
    assert main(["plugins"]) == 0
    assert (
        capsys.readouterr().out
        == """\
KIND    NAME          FROM             OPTIONS
?       misnamed.a.b  no distribution  broken: entry point 'misnamed.a.b' of no distribution is not named as one of \
source.NAME, transform.NAME, output.NAME, command.NAME, NAME
output  bad           no distribution  broken: output 'bad' of no distribution cannot be loaded: it has no \
kuma_sd_output_plugin() that returns a description
output  null          no distribution  -
output  push          no distribution  token =
                                       pin =
                                       urls =
                                       limit =
"""
    )
