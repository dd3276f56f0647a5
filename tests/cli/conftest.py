import pytest


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in ("KUMA_SD_CONFIG", "KUMA_SD_CP_ADDRESS", "KUMA_SD_OUTPUT", "KUMA_SD_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("kuma_sd.cli.main.DEFAULT_FILE", "")
