"""Cases in which targets were lost, with the daemon as a process; every file it wrote meanwhile is looked at."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from http_server import http_server
from mads_answer import mads_answer
from processes import Process
from stage import MANY, Kuma, Stage
from waiting import eventually

from kuma_sd.simulator import Dataplane

HELD_METRICS = ("kuma_sd_control_plane_guard_engaged{", "kuma_sd_control_plane_guard_held_targets{")


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
            _crash(east, 4, away=2, up=1)  # away for longer than one back-off
            east.close()
            threading.Event().wait(3)  # away while the time would be over


def test_a_control_plane_that_crashes_empty_again_and_again_and_is_back_at_once_takes_nothing(
    stage: Stage, east: Kuma
) -> None:
    stage.settings(east.url, guard_hold="5s")
    with stage.running():
        stage.becomes(*MANY)
        with stage.never_without(*MANY):
            east.world.clear()
            _crash(east, 3, away=0, up=3.5)  # after less than 3 s the pause grows


def test_what_another_replica_does_not_know_yet_is_held_however_fast_it_takes_over(
    stage: Stage, east: Kuma, west: Kuma
) -> None:
    west.world.clear()
    west.world.add(*(Dataplane(name) for name in MANY[3:]))
    stage.settings(f"grpc://{east.address},{west.address}", guard_hold="60s")
    with stage.running() as daemon:
        stage.becomes(*MANY)
        with stage.never_without(*MANY):
            east.close()
            daemon.wait_for_line("targets vanished but stay")
        assert not east.counts.open


def _crash(plane: Kuma, times: int, *, away: float, up: float) -> None:
    """Restart a control plane, each time for less than guard-hold."""
    for _ in range(times):
        plane.close()
        threading.Event().wait(away)
        before = plane.counts.acks
        plane.start()
        plane.wait_for(lambda counts, before=before: counts.acks > before, 30)  # type: ignore[misc]
        threading.Event().wait(up)


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


TWO_GROUPS = """
from kuma_sd import hookimpl

@hookimpl
def kuma_sd_transform(labels, target):
    return [labels | {"port": port, "__address__": f"192.0.2.1:{port}"} for port in ("80", "81")]
"""


def test_a_target_that_cannot_be_converted_after_a_restart_keeps_all_groups_that_a_transform_made_of_it(
    stage: Stage, east: Kuma
) -> None:
    stage.directory.chmod(0o755)
    plugin = stage.directory / "two.py"
    plugin.write_text(TWO_GROUPS)
    plugin.chmod(0o644)
    stage.settings(east.url, plugin_file=str(plugin))
    with stage.running() as daemon:
        stage.becomes(*MANY, *MANY)
        daemon.stop()
    stage.settings(east.url, plugin_file=str(plugin), max_labels="1")
    with stage.running() as again:
        again.wait_for_line('"published"')
        again.wait_for_line("connected")
        assert "targets are quarantined" in again.output
        assert stage.names() == sorted([*MANY, *MANY])


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_quarantined_targets_are_published_after_a_restart_also_in_another_file(
    stage: Stage, east: Kuma, end: str
) -> None:
    stage.settings(east.url)
    with stage.running() as daemon:
        stage.becomes(*MANY)
        stage.reload(daemon, east.url, max_labels="1")
        if end == "killed":
            eventually((stage.directory / "state/kuma-sd.quarantined").exists, "they are saved")
            daemon.kill()
        else:
            daemon.stop()
    stage.path = stage.path.with_name("other.json")
    stage.settings(east.url, max_labels="1")
    with stage.running() as again:
        again.wait_for_line("connected")
        stage.becomes(*MANY)


def test_targets_that_cannot_be_converted_since_a_rename_stay_after_a_restart(stage: Stage, east: Kuma) -> None:
    stage.settings(f"old={east.url}")
    with stage.running_without_loss(*MANY) as daemon:
        stage.reload(daemon, f"new={east.url}", max_labels="1")
        daemon.stop()
    with stage.never_without(*MANY), stage.running() as again:
        again.wait_for_line('"published"')
        again.wait_for_line("connected")


def test_another_log_level_is_taken_at_a_reload(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url)
    with stage.running() as daemon:
        stage.becomes(*MANY)
        stage.reload(daemon, east.url, log_level="debug")
        east.world.add(Dataplane("web-new"))
        daemon.wait_for_line("level=debug")


def test_a_shorter_start_wait_is_taken_at_a_reload(stage: Stage, east: Kuma) -> None:
    down = "west=grpc://127.0.0.1:1"
    stage.settings(f"east={east.url}", down, start_wait="1h")
    with stage.running() as daemon:
        daemon.wait_for_line('msg="connected" control_plane=east')
        assert not stage.path.exists()
        stage.settings(f"east={east.url}", down, start_wait="1s")
        daemon.wait_for_line("reloaded the settings")
        stage.becomes(*MANY)


def test_a_few_targets_held_after_a_reconnect_are_no_warning_and_no_alert(stage: Stage, east: Kuma) -> None:
    stage.settings(east.url, guard_hold="1h")
    with stage.running_without_loss(*MANY) as daemon:
        east.close()
        daemon.wait_for_line("connection failed")
        east.world.remove(MANY[0])
        east.start()
        line = daemon.wait_for_line("targets vanished but stay")
        metrics = stage.asked("/metrics")
    assert "level=info" in line
    assert 'guard_held_targets{control_plane="' in metrics
    assert [line.split()[-1] for line in metrics.splitlines() if line.startswith(HELD_METRICS)] == ["0.0", "1.0"]


def test_a_hold_does_not_end_while_the_control_plane_answers_with_errors(stage: Stage) -> None:
    with http_server() as server:
        server.answer(body=mads_answer("1", *"abc"))
        server.answer(500)
        server.answer(body=mads_answer("2", *"a"))
        for _ in range(3):
            server.answer(500)
        server.answer(body=mads_answer("2", *"a"))
        stage.settings(f"http://{server.address}", transport="http", guard_hold="3s", fetch_timeout="1s")
        with stage.running():
            stage.becomes(*"abc")
            with stage.never_without(*"abc"):
                # The back-off between these takes longer than the hold; the last answer is still to come.
                eventually(lambda: server.answers.qsize() <= 1, "it has answered with errors only")
            stage.becomes("a")


@pytest.mark.parametrize("closed", [0o077, 0o777])
def test_with_a_closed_umask_everybody_can_read_what_is_published(stage: Stage, east: Kuma, closed: int) -> None:
    stage.settings(east.url)
    before = os.umask(closed)
    try:
        with stage.running():
            stage.becomes(*MANY)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (stage.path.parent, stage.path)]
    assert modes == [0o755, 0o644]


def test_a_single_mounted_file_is_refused_at_the_start_with_what_to_mount_instead(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_text("[]")
    script = 'mount --bind "$1" "$1" && exec "$2" -m kuma_sd run --cp-address=grpc://127.0.0.1:1 "--output-file=$1"'
    own = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    state = {"KUMA_SD_STATE_DIR": f"{tmp_path}/state", "KUMA_SD_CONTROL_SOCKET": f"{tmp_path}/control.sock"}
    daemon = Process(*own, "sh", "-c", script, "sh", path, sys.executable, **state)
    assert daemon.wait() == 2
    assert f"mount its directory '{tmp_path}' instead" in daemon.output
    assert path.read_text() == "[]"
