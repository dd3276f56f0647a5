import os
from pathlib import Path

import pytest

from kuma_sd.settings.default_control_socket import default_control_socket


@pytest.mark.parametrize(
    ("user", "environment", "path"),
    [
        (0, {}, "/run/kuma-sd/control.sock"),
        (0, {"XDG_RUNTIME_DIR": "/run/user/0"}, "/run/kuma-sd/control.sock"),
        (107, {"RUNTIME_DIRECTORY": "/run/kuma-sd"}, "/run/kuma-sd/control.sock"),
        (107, {"RUNTIME_DIRECTORY": "/run/kuma-sd:/run/kuma-prometheus-sd"}, "/run/kuma-sd/control.sock"),
        (107, {"RUNTIME_DIRECTORY": "/run/kuma-prometheus-sd:/run/kuma-sd"}, "/run/kuma-sd/control.sock"),
        (107, {"RUNTIME_DIRECTORY": "/run/monitoring"}, "/run/monitoring/control.sock"),
        (1000, {"XDG_RUNTIME_DIR": "/run/user/1000"}, "/run/user/1000/kuma-sd/control.sock"),
        (1000, {"XDG_RUNTIME_DIR": "run"}, "/tmp/kuma-sd-1000/control.sock"),  # noqa: S108 (as below)
        (1000, {}, "/tmp/kuma-sd-1000/control.sock"),  # noqa: S108 (its directory must belong to the user)
    ],
)
def test_daemon_and_command_find_the_same_place(
    user: int, environment: dict[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108 (as above)
    assert default_control_socket(environment) == Path(path)
