from pathlib import Path

import pytest
from daemon_in_process import observed
from waiting import eventually

ONE = "--cp-address=grpc://192.0.2.1:5676", "--output=told"


def test_after_a_refused_reload_the_log_says_that_the_old_settings_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with observed(tmp_path, *ONE) as daemon:
        daemon.publish("a")
        daemon.daemon._open_again([])
        eventually(lambda: "the old settings stay in effect" in caplog.text, "the old settings are adopted again")
    assert "new settings in effect" not in caplog.text
