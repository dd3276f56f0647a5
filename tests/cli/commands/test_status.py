import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from page_kit import output, plane

from kuma_sd.cli.main import main
from kuma_sd.cli.render.status import screen
from kuma_sd.cli.render.style import Style
from kuma_sd.telemetry.chain_status import Quarantined
from kuma_sd.telemetry.control_plane_status import ControlPlaneStatus, HeldTargets
from kuma_sd.telemetry.duration_buckets import Histogram
from kuma_sd.telemetry.output_status import OutputStatus
from kuma_sd.telemetry.problems import problems_of
from kuma_sd.telemetry.status import Reloads, StateStatus, Status
from kuma_sd.telemetry.top_counts import Count, TargetCounts
from kuma_sd.web.application import Application, Response

NOW = 1_000_000.0


def east(**facts: Any) -> ControlPlaneStatus:
    known: dict[str, Any] = {"endpoint": "east:5676", "since": NOW - 7325, "last_response": NOW, "changed": NOW - 12}
    return plane(**(known | {"assignments": 1234} | facts))


def file_sd(**facts: Any) -> OutputStatus:
    meshes = TargetCounts((Count("default", 1000), Count("payments", 234)), 2)
    services = TargetCounts(tuple(Count(f"s{number}", 10, "default") for number in range(20)), 90, 900)
    known: dict[str, Any] = {"last": NOW - 12, "groups": 1234, "seconds": Histogram().observe(0.012)}
    return output(**(known | {"meshes": meshes, "services": services} | facts))


WELL = Status("1.2.3", NOW, NOW - 90_061, control_planes=(east(),), outputs=(file_sd(),))


def judged(status: Status) -> Status:
    return replace(status, problems=tuple(problems_of(status)))


def lines(status: Status, *, coloured: bool = False) -> list[str]:
    return list(screen(judged(status), Style(coloured=coloured)))


def test_all_that_matters_is_on_the_first_screen() -> None:
    assert lines(WELL) == [
        "kuma-sd 1.2.3: healthy, ready, 1,234 targets in the mesh, up for 1d1h",
        "",
        "control planes",
        "  ok    east: 1,234 targets, changed 12s ago; connected over v1 gRPC for 2h2m",
        "        at east:5676",
        "",
        "outputs",
        "  ok    file_sd: 1,234 target groups, published 12s ago, 12ms after it was received",
        "        meshes: default 1,000, payments 234; services: s0 10, s1 10, s2 10, s3 10, s4 10 and 85 more",
    ]


def test_what_is_wrong_stands_out() -> None:
    held = HeldTargets(3, TargetCounts((Count("default", 3),), 1), why="3 of 5 vanished", suspicious=True)
    west = east(name="west", title="west", connected=False, failing="Connection refused", age=61.0, restored=True)
    status = replace(
        WELL,
        stuck=("pipeline: it has not moved for 1m5s",),
        reloads=Reloads(2, 1, NOW - 5, NOW - 99, "line 3: no"),
        state=StateStatus(failing="no space"),
        control_planes=(east(guard=held, held_until=NOW + 61, unreadable=2), west),
        outputs=(
            file_sd(failing="the disk is full", facts={"role": "leader"}),
            file_sd(
                name="more", quarantined=7, quarantine=(Quarantined("east", "default", "web-1", "too many labels"),)
            ),
            OutputStatus("new", "file_sd", busy=9.0),
        ),
    )
    text = "\n".join(lines(status))
    for expected in (
        "not healthy, not ready, 2,468 targets in the mesh, 3 of them held by the guard",
        "  The daemon is not healthy: pipeline: it has not moved for 1m5s",
        "  The settings were not reloaded (5s ago); the old ones stay: line 3: no",
        "  Targets are not saved for a restart: no space",
        "  look  east: ",
        "        The guard holds 3 targets that vanished from east, for 1m1s more: 3 of 5 vanished; in default 3",
        "        2 assignments of east cannot be read",
        "  down  west: 1,234 targets, changed 12s ago; not connected",
        "        Control plane west has sent nothing for 1m1s; its 1,234 targets are from before the restart",
        "  fail  file_sd: ",
        "        Output file_sd fails; what it published 12s ago stays: the disk is full",
        "        role: leader",
        "        7 targets are quarantined in more: each keeps what it had, or is left out",
        "          default/web-1: too many labels",
        "  look  new: nothing published yet",
        "        Output new has published nothing yet: its first attempt takes 9s so far",
    ):
        assert f"\n{expected}" in text or expected in text.splitlines()[0]


def test_nothing_that_comes_from_outside_commands_the_terminal() -> None:
    nasty = "\x1b[2J\u202e\n"
    status = replace(
        WELL,
        stuck=(nasty,),
        control_planes=(east(title=nasty, failing=nasty, connected=False, facts={nasty: nasty}),),
        outputs=(file_sd(failing=nasty, meshes=TargetCounts((Count(nasty, 1),), 1)),),
    )
    assert all(line.isprintable() for line in lines(status))


def test_a_terminal_gets_colours() -> None:
    assert "\x1b[32mhealthy\x1b[0m" in lines(WELL, coloured=True)[0]


def answer(application: Application, status: Status) -> None:
    application.add("GET", "/api/status", lambda _request: Response(msgspec.json.encode(judged(status))))


def test_a_healthy_daemon_is_shown_without_colours_in_a_pipe(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(application, WELL)
    assert main(["status"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("\n".join(lines(WELL)) + "\n\nasked at ")
    assert printed.out.endswith("; no settings file\n")
    assert printed.err == ""


def test_a_service_that_stands_in_several_meshes_is_named_with_its_mesh() -> None:
    services = TargetCounts((Count("redis", 5, "shop"), Count("redis", 4, "default"), Count("web", 2, "shop")), 3)
    status = replace(WELL, outputs=(file_sd(services=services),))
    assert lines(status)[-1].endswith("services: redis (shop) 5, redis (default) 4, web 2")


def test_a_few_targets_that_are_held_after_a_reconnect_are_shown_and_need_no_look() -> None:
    held = HeldTargets(1, TargetCounts((Count("default", 1),), 1), why="a connection was made shortly before")
    told = lines(replace(WELL, control_planes=(east(guard=held),)))
    assert told[3].startswith("  ok    east: ")
    assert told[5] == "        1 target that vanished is held for a while: a connection was made shortly before"


def test_an_empty_list_says_which_client_no_policy_names() -> None:
    empty = east(assignments=0, note="no policy (MeshMetric) names the client 'me'")
    told = lines(replace(WELL, control_planes=(empty,)))
    assert "  look  east: 0 targets, changed 12s ago; connected over v1 gRPC for 2h2m" in told
    assert "        Control plane east sends 0 targets: no policy (MeshMetric) names the client 'me'" in told


def wrong(tmp_path: Path) -> str:
    (tmp_path / "wrong.conf").write_text("[kuma-sd]\nguard-hold = abc\nnonsense\n[file_sd]\npath = /x\n")
    return str(tmp_path / "wrong.conf")


@pytest.mark.parametrize(("stuck", "exit_status"), [((), 0), (("pipeline: stuck",), 1)])
def test_the_daemon_is_asked_although_the_settings_file_is_wrong(
    application: Application, stuck: tuple[str], exit_status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(application, replace(WELL, stuck=stuck))
    assert main(["status", "-c", wrong(tmp_path)]) == exit_status
    printed = capsys.readouterr()
    assert "1,234 targets in the mesh" in printed.out
    file = tmp_path / "wrong.conf"
    said = "the settings are wrong, the daemon runs with others: "
    assert [line.removeprefix(said) for line in printed.err.splitlines()] == [
        f"{file}:3: this line is no 'key = value', no [section] and no comment",
        f"{file}:2: guard-hold in [kuma-sd]: 'abc' is not a duration like 500ms, 30s, 2m or 1h30m",
    ]


def test_where_the_daemon_is_asked_is_read_from_a_file_that_is_wrong(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(application, WELL)
    monkeypatch.delenv("KUMA_SD_CONTROL_SOCKET")
    with Path(wrong(tmp_path)).open("a") as file:
        file.write(f"[web]\nx = y\n[kuma_sd]\n[kuma-sd]\ncontrol-socket = {tmp_path}/control.sock\n")
    assert main(["status", "--ready", "-c", str(tmp_path / "wrong.conf")]) == 0
    assert f"asked at {tmp_path}/control.sock" in capsys.readouterr().out


def test_without_a_daemon_wrong_settings_are_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUMA_SD_CONTROL_SOCKET", str(tmp_path / "none.sock"))
    assert main(["status", "-c", wrong(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith(f"kuma-sd: no daemon listens at '{tmp_path}/none.sock'")


def test_a_mistake_on_the_command_line_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--redy"]) == 2
    assert capsys.readouterr().err == "kuma-sd: unknown flag --redy; did you mean --ready?\n"


@pytest.mark.parametrize(
    ("stuck", "publications", "flags", "exit_status"),
    [
        ((), 0, [], 0),
        ((), 0, ["--ready"], 1),
        (("pipeline: stuck",), 1, [], 1),
        ((), 1, ["--ready", "--format=json"], 0),
        (("pipeline: stuck",), 1, ["--format=json"], 1),
    ],
)
def test_the_exit_status_says_whether_it_is_healthy_and_if_asked_whether_it_is_ready(
    application: Application, stuck: tuple[str], publications: int, flags: list[str], exit_status: int
) -> None:
    answer(application, replace(WELL, stuck=stuck, outputs=(file_sd(publications=publications),)))
    assert main(["status", *flags]) == exit_status


def test_json_is_for_programs_and_holds_nothing_that_a_terminal_obeys(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = replace(WELL, stuck=("\x1b\u202e",))
    answer(application, nasty)
    assert main(["status", "--format", "json"]) == 1
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(msgspec.json.encode(judged(nasty)))
    assert printed.replace("\n", "").isprintable()


def test_without_a_daemon_it_is_not_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUMA_SD_CONTROL_SOCKET", str(tmp_path / "none.sock"))
    assert main(["status"]) == 1
    assert capsys.readouterr().err.startswith("kuma-sd: no daemon listens at ")


@pytest.mark.parametrize(
    ("path", "answered", "error"),
    [
        ("/api/status", b'{"version": 2}', "the daemon's answer is of another version than this command"),
        ("/other", b"", "there is no /api/status; there are /other\n"),
    ],
)
def test_the_answer_of_another_version_is_an_error_in_one_line(
    path: str, answered: bytes, error: str, application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    application.add("GET", path, lambda _request: Response(answered))
    assert main(["status"]) == 1
    assert capsys.readouterr().err.startswith(f"kuma-sd: {error}")


def test_times_are_short() -> None:
    expected = {0.0: "0ms", 0.0129: "13ms", 59.9: "59s", 60.0: "1m", 3599.0: "59m59s", 7200.0: "2h", 864061.0: "10d"}
    for seconds, shown in expected.items():
        assert lines(replace(WELL, started=NOW - seconds))[0].endswith(f"up for {shown}")


def test_a_control_plane_that_is_connected_and_silent_is_said_to_be() -> None:
    silent = east(connected=False, silent=40.0, failing="no answer for 40s", age=40.0)
    text = "\n".join(lines(replace(WELL, control_planes=(silent,))))
    assert "east: 1,234 targets, changed 12s ago; connected, no answer for 40s" in text


def test_an_empty_list_is_explained() -> None:
    empty = east(assignments=0, note="no policy (MeshMetric) names the client 'kuma_sd'")
    text = "\n".join(lines(replace(WELL, control_planes=(empty,))))
    assert "0 targets: no policy (MeshMetric) names the client 'kuma_sd'" in text
