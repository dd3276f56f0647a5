import logging
from pathlib import Path

import pytest
from daemon_process import kuma_sd

from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.builder import Components, build
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.setting_warnings import advice, warn
from kuma_sd.settings.loader import load

RULES = """
[kuma-sd]
cp-address = grpc://127.0.0.1:1
transform = nat=relabel only=filter
output = all=file_sd some=file_sd
[nat]
rules =
    - action: labelmap
      regex: __meta_kuma_label_(.+)
    - source_labels: [__meta_kuma_mesh, env]
      target_label: mesh
[only]
match = __meta_kuma_service="web"
[all]
path = /nowhere/all.json
[some]
path = /nowhere/some.json
"""


def components(tmp_path: Path, *lines: str, rules: str = RULES) -> Components:
    file = tmp_path / "kuma-sd.conf"
    file.write_text("\n".join([rules, *lines]))
    return build(load(["-c", str(file)], {}, Plugins()))


def test_rules_that_read_labels_which_the_profile_does_not_have_are_named_with_the_remedy(tmp_path: Path) -> None:
    lacking = "which targets do not have with label-profile = kuma-prometheus-sd; set label-profile = both"
    assert list(advice(components(tmp_path))) == [
        f"output all, some: transform nat reads __meta_kuma_label_(.+), __meta_kuma_mesh, {lacking}",
        f"output all, some: transform only reads __meta_kuma_service, {lacking}",
    ]


@pytest.mark.parametrize("profile", ["both", "kuma_sd_configs"])
def test_outputs_whose_profile_has_them_are_not_warned_of(tmp_path: Path, profile: str) -> None:
    (first, second) = advice(components(tmp_path, f"label-profile = {profile}"))
    assert first.startswith("output all: transform nat")
    assert second.startswith("output all: transform only")


def test_other_labels_are_nobodys_business(tmp_path: Path) -> None:
    rules = RULES.replace("__meta_kuma_", "__meta_other_")
    assert list(advice(components(tmp_path, rules=rules))) == []


def test_check_and_the_daemon_at_its_start_warn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text(RULES)
    Daemon(load(["-c", str(file), f"--state-dir={tmp_path}"], {}, Plugins()))
    assert caplog.text.count("set label-profile = both") == 2
    with kuma_sd("check", "-c", file) as check:
        assert check.wait() == 0
    assert check.output.count("set label-profile = both") == 2
    assert "OK: 1 control plane, 2 outputs" in check.output
    assert capsys.readouterr().out == ""


def test_it_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn(components(tmp_path))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
