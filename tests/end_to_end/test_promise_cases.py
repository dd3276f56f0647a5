"""Cases in which targets were lost, with the daemon as a process; every file it wrote meanwhile is looked at."""

import contextlib
import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from background import in_background
from daemon_process import kuma_sd
from own_port import own_port
from processes import Process
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World

MANY = [f"web-{number:02}" for number in range(20)]

MOVABLE_CLOCK = """
import time
_real = time.time
time.time = lambda: _real() + float(open({path!r}).read())
"""
"""What gives a program a wall clock that is ahead by the seconds in a file; Python loads it before the program."""


class Stage:
    """A daemon with a file of settings, and what it published."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "published/targets.json"
        self.config = directory / "kuma-sd.conf"
        self.state = directory / "state"
        self.environment: dict[str, str] = {}

    def settings(self, *addresses: str, **options: str) -> None:
        """Write the settings in one step."""
        lines = ["[kuma-sd]", "cp-address =", *(f"    {address}" for address in addresses)]
        lines += [f"{name.replace('_', '-')} = {value}" for name, value in options.items()]
        fresh = self.directory / "kuma-sd.new"
        fresh.write_text("\n".join([*lines, "[file_sd]", f"path = {self.path}", ""]))
        fresh.rename(self.config)

    @contextlib.contextmanager
    def running(self) -> Iterator[Process]:
        """Run the daemon until the block ends."""
        socket = f"{self.directory}/control.sock"
        with kuma_sd(
            "run", "-c", self.config, f"--state-dir={self.state}", f"--control-socket={socket}", **self.environment
        ) as daemon:
            yield daemon

    def move_clock(self, seconds: float) -> None:
        """Let the wall clock of the daemon be ahead by so many seconds, from now on or from its start."""
        ahead, fresh = self.directory / "ahead", self.directory / "ahead.new"
        fresh.write_text(str(seconds))
        fresh.rename(ahead)
        (self.directory / "sitecustomize.py").write_text(MOVABLE_CLOCK.format(path=str(ahead)))
        self.environment["PYTHONPATH"] = str(self.directory)

    def accept(self, *names: str) -> None:
        """Release the held targets."""
        with kuma_sd("accept", *names, KUMA_SD_CONTROL_SOCKET=f"{self.directory}/control.sock") as program:
            assert program.wait() == 0

    def reload(self, daemon: Process, *addresses: str, **options: str) -> None:
        """Change the settings, and wait until they are taken."""
        self.settings(*addresses, **options)
        daemon.wait_for_line("new settings in effect")

    def names(self) -> list[str]:
        """Return what is published."""
        if not self.path.exists():
            return []
        return sorted(group["labels"]["dataplane"] for group in json.loads(self.path.read_bytes()))

    def becomes(self, *names: str) -> None:
        """Wait until exactly these are published."""
        eventually(lambda: self.names() == sorted(names), f"{len(names)} targets are published")

    @contextlib.contextmanager
    def never_without(self, *names: str) -> Iterator[None]:
        """Look all the time that none of these is missing."""
        ended, missing = threading.Event(), set[str]()

        def look() -> None:
            while not ended.wait(0.002):
                missing.update(set(names) - set(self.names()))

        with in_background(look, ended.set):
            yield
        assert missing == set()

    @contextlib.contextmanager
    def running_without_loss(self, *names: str) -> Iterator[Process]:
        """Run the daemon, and look all the time that none of these is missing once they are published."""
        with self.running() as daemon:
            self.becomes(*names)
            with self.never_without(*names):
                yield daemon


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def serving(*names: str) -> SimulatedControlPlane[World]:
    """Return a control plane that can stop and come back at its port."""
    dataplanes = [Dataplane(name, labels={"env": "prod", "team": "web"}) for name in names]
    return SimulatedControlPlane(World(dataplanes), port=own_port(), refresh=0)


@pytest.fixture
def east() -> Iterator[SimulatedControlPlane[World]]:
    with serving(*MANY) as running:
        yield running


@pytest.fixture
def west() -> Iterator[SimulatedControlPlane[World]]:
    with serving("api-1", "api-2") as running:
        yield running


Kuma = SimulatedControlPlane[World]


def test_a_control_plane_that_gets_a_name_keeps_its_targets(stage: Stage, east: Kuma, west: Kuma) -> None:
    stage.settings(east.url)
    with stage.running_without_loss(*MANY) as daemon:
        stage.reload(daemon, f"east={east.url}", f"west={west.url}")
        stage.becomes(*MANY, "api-1", "api-2")


def test_control_planes_that_come_instead_and_are_down_take_nothing(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url, start_wait="1s")
    with stage.running() as daemon:
        stage.becomes(*MANY)
        with stage.never_without(*MANY):
            stage.reload(daemon, "north=grpc://127.0.0.1:1", "south=grpc://127.0.0.1:2", start_wait="1s")
            daemon.wait_for_line("control_plane=south ")
            threading.Event().wait(2)  # longer than start-wait
        stage.reload(daemon, east.url)
        assert stage.names() == MANY


def test_many_reloads_close_to_each_other_lose_nothing(stage: Stage, east: Kuma, west: Kuma) -> None:
    stage.settings(f"east={east.url}", f"west={west.url}")
    with stage.running_without_loss(*MANY, "api-1", "api-2") as daemon:
        for number in range(12):
            first, second = ("east", "west") if number % 2 else ("west", "settings")
            stage.settings(f"{first}={east.url}", f"{second}={west.url}", min_interval=f"{number + 1}0ms")
            daemon.signal(signal.SIGHUP)
            threading.Event().wait(0.02 * (number % 4))
        stage.reload(daemon, f"beat={east.url}", f"settings={west.url}")
        east.world.add(Dataplane("new"))
        stage.becomes(*MANY, "api-1", "api-2", "new")


def test_accepting_all_takes_nothing_of_one_that_did_not_answer_since_the_restart(
    stage: Stage, east: Kuma, west: Kuma
) -> None:
    stage.settings(f"east={east.url}", f"west={west.url}", guard_hold="60s")
    with stage.running() as daemon:
        stage.becomes(*MANY, "api-1", "api-2")
        daemon.stop()
    west.close()
    with stage.running() as daemon, stage.never_without(*MANY, "api-1", "api-2"):
        daemon.wait_for_line('msg="connected" control_plane=east')
        stage.accept()
        west.world.clear()
        west.start()
        daemon.wait_for_line(" targets=2 ")


def test_accepting_before_anything_was_heard_publishes_nothing(stage: Stage) -> None:
    stage.settings("grpc://127.0.0.1:1")
    with stage.running() as daemon:
        daemon.wait_for_line("trying again")
        stage.accept()
        stage.accept()
        daemon.stop()
    assert not stage.path.exists()


def test_what_was_accepted_stays_gone_after_a_restart(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url, guard_hold="60s")
    with stage.running() as daemon:
        stage.becomes(*MANY)
        east.world.remove(*MANY[2:])
        daemon.wait_for_line(" targets=18 ")
        stage.accept()
        stage.becomes(*MANY[:2])
        daemon.stop()
    east.close()
    stage.path.unlink()
    with stage.running():
        stage.becomes(*MANY[:2])


def test_a_control_plane_that_restarts_empty_again_and_again_takes_nothing(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url, guard_hold="2s")
    with stage.running():
        stage.becomes(*MANY)
        with stage.never_without(*MANY):
            east.world.clear()
            for _ in range(4):
                east.close()
                threading.Event().wait(2)  # longer than one back-off
                before = east.counts.acks
                east.start()
                east.wait_for(lambda counts, before=before: counts.acks > before)  # type: ignore[misc]
                threading.Event().wait(1)  # it is empty for less than guard-hold
            east.close()
            threading.Event().wait(3)  # away while the time would be over


def test_a_target_that_came_just_before_the_daemon_was_killed_is_not_lost(stage: Stage, east: Kuma, west: Kuma) -> None:
    stage.settings(f"east={east.url}", f"west={west.url}", start_wait="1s")
    with stage.running() as daemon:
        stage.becomes(*MANY, "api-1", "api-2")
        for number in range(5):
            west.world.add(Dataplane(f"new-{number}"))
            stage.becomes(*MANY, "api-1", "api-2", *(f"new-{count}" for count in range(number + 1)))
        daemon.signal(signal.SIGKILL)
        daemon.wait()
    west.close()
    news = [f"new-{number}" for number in range(5)]
    with stage.never_without(*MANY, *news), stage.running():
        east.world.add(Dataplane("later"))
        stage.becomes(*MANY, "api-1", "api-2", *news, "later")


def test_without_a_usable_state_the_published_file_is_the_memory(stage: Stage, east: Kuma, west: Kuma) -> None:
    stage.settings(f"east={east.url}", f"west={west.url}", start_wait="1s", guard_hold="3s")
    with stage.running() as daemon:
        stage.becomes(*MANY, "api-1", "api-2")
        daemon.stop()
    shutil.rmtree(stage.state)
    west.close()
    with stage.running() as daemon:
        with stage.never_without(*MANY, "api-1", "api-2"):
            east.world.add(Dataplane("later"))
            stage.becomes(*MANY, "api-1", "api-2", "later")
            west.world.remove("api-1")
            west.start()
            daemon.wait_for_line('releases them" control_plane=west targets=1 ')
        stage.becomes(*MANY, "api-2", "later")


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_one_whose_saved_snapshot_is_gone_or_damaged_is_remembered_from_the_published_file(
    stage: Stage, east: Kuma, west: Kuma, harm: Callable[[Path], object]
) -> None:
    stage.settings(f"east={east.url}", f"west={west.url}", guard_hold="60s")
    with stage.running() as daemon:
        stage.becomes(*MANY, "api-1", "api-2")
        daemon.stop()
    harm(stage.state / "east.snapshot")
    east.world.remove(*MANY[1:])
    with stage.running() as daemon, stage.never_without(*MANY, "api-1", "api-2"):
        daemon.wait_for_line('msg="restored targets from published files" control_plane=east targets=20')
        daemon.wait_for_line(" control_plane=east targets=19 ")
        west.world.add(Dataplane("later"))
        stage.becomes(*MANY, "api-1", "api-2", "later")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {'name = "lines"': 'name = "lines 2"'}, id="the codec has another name"),
        pytest.param({}, {", codec=codec": ""}, id="there is no codec any more"),
        pytest.param({", codec=codec": ""}, {", codec=codec": ""}, id="there never was a codec"),
    ],
)
def test_one_whose_plugin_cannot_read_what_was_saved_is_remembered_from_the_published_file(
    stage: Stage, west: Kuma, before: dict[str, str], after: dict[str, str]
) -> None:
    stage.directory.chmod(0o755)
    lines, plugin = stage.directory / "lines.txt", stage.directory / "lines.py"
    lines.write_text("".join(f"{name} 192.0.2.1:80\n" for name in MANY))
    _write_source_of_the_documentation(plugin, before)
    stage.settings(f"east=lines:{lines}", f"west={west.url}", guard_hold="60s", plugin_file=str(plugin))
    with stage.running() as daemon:
        stage.becomes(*MANY, "api-1", "api-2")
        daemon.stop()
    _write_source_of_the_documentation(plugin, after)
    lines.write_text(f"{MANY[0]} 192.0.2.1:80\n")
    with stage.running() as daemon, stage.never_without(*MANY, "api-1", "api-2"):
        daemon.wait_for_line(" control_plane=east targets=19 ")
        west.world.add(Dataplane("later"))
        stage.becomes(*MANY, "api-1", "api-2", "later")


def _write_source_of_the_documentation(path: Path, changes: dict[str, str]) -> None:
    page = (Path(__file__).parents[2] / "docs/plugins/sources.md").read_text()
    source = page.partition("```python\n")[2].partition("```")[0]
    for old, new in changes.items():
        assert old in source
        source = source.replace(old, new)
    path.write_text(source)
    path.chmod(0o644)


def test_the_guard_stays_on_when_a_replica_is_added(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url, guard_hold="60s")
    with stage.running_without_loss(*MANY) as daemon:
        stage.reload(daemon, f"{east.url},127.0.0.1:1", guard_hold="60s")
        east.world.remove(*MANY[1:])
        daemon.wait_for_line(" targets=19 ")


def test_half_of_the_list_that_is_replaced_by_as_many_others_is_a_loss(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url, guard_hold="60s")
    with stage.running_without_loss(*MANY) as daemon:
        others = [Dataplane(f"other-{number}") for number in range(15)]
        east.world.replace([*east.world.dataplanes[:5], *others])
        daemon.wait_for_line("15 of 20 vanished")


def test_limits_that_become_too_small_at_a_reload_take_no_target(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url)
    with stage.running() as daemon:
        stage.becomes(*MANY)
        with stage.never_without(*MANY):
            stage.reload(daemon, east.url, max_labels="1", label_profile="both")
            daemon.stop()
        assert "targets are quarantined" in daemon.output
        with stage.never_without(*MANY), stage.running() as again:
            again.wait_for_line("connected")


DAY = 24 * 3600


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_jumps_by_a_day_takes_no_target(stage: Stage, east: Kuma, jump: float) -> None:
    stage.settings(east.url, max_age="1h", guard_hold="1h")
    stage.move_clock(0)
    with stage.running_without_loss(*MANY) as daemon:
        east.close()
        daemon.wait_for_line("connection failed")
        stage.move_clock(jump)
        # The pipeline looks at the time again for each of these.
        for number in range(1, 4):
            stage.reload(daemon, east.url, max_age="1h", guard_hold="1h", min_interval=f"{number}ms")
        east.start()
        daemon.wait_for_line("connected")
        east.world.add(Dataplane("web-new", labels={"env": "prod", "team": "web"}))
        stage.becomes(*MANY, "web-new")


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_targets_expire_after_max_age_whatever_the_clock_says(stage: Stage, east: Kuma, jump: float) -> None:
    stage.settings(east.url, max_age="2s")
    stage.move_clock(0)
    with stage.running() as daemon:
        stage.becomes(*MANY)
        stage.move_clock(jump)
        east.close()
        daemon.wait_for_line("not connected for longer than max-age; its targets were dropped")
        stage.becomes()


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_after_a_restart_max_age_counts_from_the_start_whatever_the_clock_says(
    stage: Stage, east: Kuma, jump: float
) -> None:
    stage.settings(east.url, max_age="2s")
    with stage.running() as daemon:
        stage.becomes(*MANY)
        daemon.stop()
    east.close()
    stage.move_clock(jump)
    with stage.running() as daemon:
        daemon.wait_for_line("connection failed")
        assert stage.names() == MANY
        daemon.wait_for_line("not connected for longer than max-age; its targets were dropped")
        stage.becomes()
