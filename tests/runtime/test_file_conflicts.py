"""No output writes a file that another output writes, or that kuma-sd reads."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from settings_kit import settings_of

from kuma_sd import ConfigError
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.builder import build

HOOK = "from kuma_sd import hookimpl\n@hookimpl\ndef kuma_sd_stopping(): pass\n"
RULES = "- {source_labels: [mesh], regex: default, action: keep}\n"


@dataclass(frozen=True)
class Use:
    """A file that a setting names.

    Args:
        name: its name.
        lines: the settings that name it, as ``{path}``.
        content: what is in it.
        said: what the message calls it.
    """

    name: str
    lines: str
    content: str
    said: str


USES = (
    Use("ca.json", "tls-ca-file = {path}", "", "the file of 'tls-ca-file' in [kuma-sd]"),
    Use("cert.json", "tls-cert-file = {path}", "", "the file of 'tls-cert-file' in [kuma-sd]"),
    Use("key.json", "tls-cert-file = cert.pem\ntls-key-file = {path}", "", "the file of 'tls-key-file' in [kuma-sd]"),
    Use("token.json", "bearer-token-file = {path}", "token", "the file of 'bearer-token-file' in [kuma-sd]"),
    Use("plugin_file.py", "plugin-file = {path}", HOOK, "the file of 'plugin-file' in [kuma-sd]"),
    Use("web.yml", "[web]\nconfig-file = {path}", "", "a file of the web configuration"),
    Use("web-key.json", "[web]\nconfig-file = {path.parent}/web.yml", "", "a file of the web configuration"),
    Use("rules.yml", "transform = relabel\n[relabel]\nrules = {path}", RULES, "the file of 'rules' in [relabel]"),
)


def settings_file(directory: Path, lines: str, output: Path) -> Path:
    """Write settings by which an output writes to a path."""
    directory.chmod(0o755)
    core, _, sections = lines.partition("\n[")
    file = directory / "settings.json"
    options = f"[file_sd]\npath = {output}\nformat = json\n"
    if lines.startswith("["):
        core, sections = "", lines[1:]
    sections = f"[{sections}\n" if sections else ""
    file.write_text(f"[kuma-sd]\ncp-address = https://localhost:5676\n{core}\n{sections}{options}")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        build(settings_of(file=file, plugins=Plugins()))
    return str(caught.value)


@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_a_file_that_a_setting_names_is_no_output(tmp_path: Path, use: Use, *, is_link: bool) -> None:
    path = tmp_path / use.name
    path.write_text(use.content)
    path.chmod(0o644)
    output = path
    if is_link:
        output = tmp_path / "link.json"
        output.symlink_to(use.name)
    if use.name == "web-key.json":
        (tmp_path / "web.yml").write_text(f"tls_server_config: {{cert_file: {path}, key_file: {path}}}")
    file = settings_file(tmp_path, use.lines.format(path=path), output)
    said = f"output file_sd would overwrite '{output}', {use.said}; give it another path"
    assert said in refusal(file)
    assert path.read_text() == use.content


def test_the_settings_file_is_no_output(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "", tmp_path / "settings.json")
    expected = f"{path}:5: output file_sd would overwrite '{path}', the settings file; give it another path"
    assert refusal(path) == expected


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return "is a pipe, which would be replaced by a file"


def the_settings_file(path: Path) -> str:
    path.symlink_to("settings.json")
    return f"would overwrite '{path}', the settings file"


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("make", [pipe, the_settings_file])
def test_check_and_run_both_refuse_with_a_line_and_exit_status_2(tmp_path: Path, command: str, make: object) -> None:
    assert callable(make)
    said = make(tmp_path / "targets.json")
    file = settings_file(tmp_path, "", tmp_path / "targets.json")
    before = file.read_bytes()
    with kuma_sd(command, "-c", file) as program:
        assert program.wait() == 2
    assert len([line for line in program.lines if said in line]) == 1
    assert file.read_bytes() == before
