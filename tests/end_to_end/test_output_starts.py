"""An output of a plugin file whose `start()` never returns, in the daemon as a process."""

from pathlib import Path

from daemon_process import kuma_sd
from published_names import names
from waiting import eventually

from kuma_sd.simulator import SimulatedControlPlane, World

BLOCKS = """
import threading

from kuma_sd import Output, OutputPlugin, hookimpl

class Blocks(Output):
    def start(self):
        print("start() was called", flush=True)
        threading.Event().wait()

    def publish(self, publication): ...

@hookimpl
def kuma_sd_output_plugin():
    return OutputPlugin(open=lambda options, context: Blocks())
"""


def flags(kuma: SimulatedControlPlane[World], directory: Path) -> list[str]:
    directory.chmod(0o755)
    plugin = directory / "blocks.py"
    plugin.write_text(BLOCKS)
    plugin.chmod(0o644)
    outputs = ["--output=slow=blocks", "--output=file_sd"]
    return [f"--cp-address={kuma.url}", f"--file-sd-path={directory}/targets.json", f"--plugin-file={plugin}", *outputs]


def test_an_output_that_never_starts_keeps_the_others_neither_from_publishing_nor_the_daemon_from_ending(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    with kuma_sd("run", *flags(kuma, tmp_path)) as daemon:
        daemon.wait_for_line('"the output is still starting" output=slow')
        eventually(lambda: names(tmp_path / "targets.json") == ["a", "b"], "the other output publishes")
        assert daemon.stop() < 10


def test_a_daemon_that_waits_for_an_output_ends_when_it_is_told_to(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    with kuma_sd("run", *flags(kuma, tmp_path)) as daemon:
        daemon.wait_for_line("start() was called")
        daemon.stop()
