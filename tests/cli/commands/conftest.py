from collections.abc import Iterator
from pathlib import Path

import pytest

from kuma_sd.system.threads import Threads
from kuma_sd.web.application import Application
from kuma_sd.web.server.control_socket import ControlSocket


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """What answers where the daemon would."""
    monkeypatch.setenv("KUMA_SD_CONTROL_SOCKET", str(tmp_path / "control.sock"))
    application, threads = Application(), Threads()
    control = ControlSocket(tmp_path / "control.sock", application)
    control.start()
    threads.start("control socket", control)
    yield application
    assert threads.stop(timeout=5) == []
