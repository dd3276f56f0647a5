"""Plugin files in the daemon as a process: the example of the documentation, edits, and hooks that misbehave."""

import json
import re
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from http_server import http_server
from published_names import names
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World

PAGE = Path(__file__).parents[2] / "docs/plugins/hooks.md"
WEBHOOK = r"`/etc/kuma-sd/webhook.py`:\n\n```python\n(.*?)^```"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path


def written(path: Path, source: str) -> Path:
    """Write a plugin file that is trusted."""
    path.write_text(source)
    path.chmod(0o644)
    return path


def flags(kuma: SimulatedControlPlane[World], directory: Path, *plugin_files: Path) -> list[str]:
    fixed = [f"--cp-address={kuma.url}", f"--file-sd-path={directory}/targets.json", "--min-interval=0"]
    return [*fixed, *(f"--plugin-file={path}" for path in plugin_files)]


def test_the_webhook_of_the_documentation_posts_a_line(kuma: SimulatedControlPlane[World], directory: Path) -> None:
    (source,) = re.findall(WEBHOOK, PAGE.read_text(), re.DOTALL | re.MULTILINE)
    webhook = written(directory / "webhook.py", source)
    with http_server() as server:
        server.answer()
        server.answer()
        with kuma_sd("run", *flags(kuma, directory, webhook), WEBHOOK_URL=f"http://{server.address}/hook") as daemon:
            request = server.requests.get(timeout=30)
            assert (request.method, request.path) == ("POST", "/hook")
            assert json.loads(request.body) == {"text": "file_sd: 2 targets; 2 added, 0 removed, 0 changed"}
            kuma.world.add(Dataplane("c"))
            request = server.requests.get(timeout=30)
            assert json.loads(request.body) == {"text": "file_sd: 3 targets; 1 added, 0 removed, 0 changed"}
            daemon.stop()


ADDS = """
from kuma_sd import hookimpl

@hookimpl
def kuma_sd_transform(labels):
    return [labels | {"site": "SITE"}]

@hookimpl
def kuma_sd_reloaded(error):
    print(f"SITE heard of a reload: {error or 'all is well'}", flush=True)
"""


def transforms(site: str) -> str:
    return ADDS.replace("SITE", site)


def sites(directory: Path) -> set[str]:
    return {group["labels"].get("site", "") for group in json.loads((directory / "targets.json").read_bytes())}


def test_an_edit_of_a_plugin_file_takes_effect_and_a_bad_one_leaves_the_old(
    kuma: SimulatedControlPlane[World], directory: Path
) -> None:
    hook = written(directory / "site.py", transforms("east"))
    with kuma_sd("run", *flags(kuma, directory, hook)) as daemon:
        daemon.wait_for_line("published")
        assert sites(directory) == {"east"}
        written(hook, transforms("west"))
        eventually(lambda: sites(directory) == {"west"}, "the edit is published")
        written(hook, "this is no Python\n")
        daemon.wait_for_line("west heard of a reload: all is well")
        daemon.wait_for_line("west heard of a reload: flag --plugin-file")
        kuma.world.add(Dataplane("c"))
        eventually(lambda: names(directory / "targets.json") == ["a", "b", "c"], "the old one goes on")
        assert sites(directory) == {"west"}
        written(hook, transforms("north"))
        eventually(lambda: sites(directory) == {"north"}, "the mended one is published")
        daemon.stop()


BLOCKS = """
import threading
from kuma_sd import hookimpl

@hookimpl
def kuma_sd_published(output):
    print("blocks", flush=True)
    threading.Event().wait()
"""

RAISES = """
import sys
from kuma_sd import hookimpl

@hookimpl(tryfirst=True)
def kuma_sd_published(output):
    sys.exit("no more")
"""


def test_hooks_that_raise_and_block_delay_nothing_and_the_daemon_stops_in_time(
    kuma: SimulatedControlPlane[World], directory: Path
) -> None:
    hooks = written(directory / "blocks.py", BLOCKS), written(directory / "raises.py", RAISES)
    with kuma_sd("run", *flags(kuma, directory, *hooks)) as daemon:
        daemon.wait_for_line("a plugin's hook fails\" plugin=raises hook=kuma_sd_published")
        kuma.world.add(Dataplane("c"))
        eventually(lambda: names(directory / "targets.json") == ["a", "b", "c"], "c is published")
        kuma.world.add(Dataplane("d"))
        eventually(lambda: names(directory / "targets.json") == ["a", "b", "c", "d"], "d is published")
        daemon.stop()
        assert "blocks" in daemon.output
        assert 'a thread did not end in time; its last write may be lost" thread=events' in daemon.output
    assert daemon.output.count("hook fails") == 1
