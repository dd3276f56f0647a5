"""`kuma-sd diff` without a daemon: against files."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recordings import DATA, as_we_write, groups

from kuma_sd import KumaSDError, TargetGroup
from kuma_sd.cli.main import main
from kuma_sd.cli.published_targets import published
from kuma_sd.cli.received_targets import ReceivedTargets
from kuma_sd.cli.render.diff import OutputDifference, as_json, as_text
from kuma_sd.cli.render.style import Style
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.simulator import Dataplane, Recording, SimulatedControlPlane, World
from kuma_sd.state import snapshot_file
from kuma_sd.telemetry.diff_without_keys import NO_KEY, compare
from kuma_sd.testing import control_plane

ROOT = Path(__file__).parents[3]
PRINTED = pytest.CaptureFixture[str]


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane("a", "b") as running:
        yield running


@pytest.fixture(autouse=True)
def _no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUMA_SD_CONTROL_SOCKET", str(tmp_path / "control.sock"))
    monkeypatch.setenv("KUMA_SD_LOG_LEVEL", "error")


def write(path: Path, *groups: tuple[str, dict[str, str]]) -> Path:
    path.write_text(json.dumps([{"targets": [address], "labels": labels} for address, labels in groups]))
    return path


@pytest.mark.parametrize("version", ["1.2.3", "2.6.15"])
def test_against_what_the_go_program_wrote_there_is_no_difference(
    version: str, tmp_path: Path, capsys: PRINTED
) -> None:
    folder, compared = DATA / f"kuma-{version}", 0
    with SimulatedControlPlane(Recording(folder), refresh=0) as kuma:
        while kuma.world.upcoming and not kuma.world.upcoming.restarted:
            go = folder / f"go-adapter-v1.step-{kuma.world.advance().name}.json"
            parsed = json.loads(go.read_bytes())
            valid = tmp_path / "valid.json"
            valid.write_text(json.dumps(as_we_write(parsed)))
            flags = [f"--cp-address={kuma.url}", "--from=control-plane", "--exit-code"]
            assert main(["diff", *flags, f"--against={valid}"]) == 0
            assert f"no difference, {len(groups(parsed))} targets" in capsys.readouterr().out
            assert main(["diff", *flags, f"--against={go}", "--format=json"]) == 1
            [output] = json.loads(capsys.readouterr().out)["outputs"]
            assert {target["change"] for target in output["targets"]} == {"changed"}
            # Prometheus 2 refused the whole file for these names.
            assert set(map(differing, output["targets"])) == {"9lives_cat 9lives_cats _9lives_cat _9lives_cats"}
            compared += 1
    assert compared == 4


def differing(target: Any) -> str:
    return " ".join(sorted({name for name, _ in target["before"].items() ^ target["after"].items()}))


def test_a_difference_is_shown_in_summary_and_in_detail(
    kuma: SimulatedControlPlane[World], tmp_path: Path, capsys: PRINTED
) -> None:
    path = tmp_path / "now.json"
    assert main(["run", "--once", f"--cp-address={kuma.url}", f"--output-file={path}"]) == 0
    groups = json.loads(path.read_bytes())
    [address] = groups[1]["targets"]
    groups[1]["labels"] |= {"env": "x", "old": "y"}
    groups[0] = {"targets": ["10.9.9.9:1"], "labels": {"instance": "gone", "job": "web", "mesh": "m"}}
    write(path, *((group["targets"][0], group["labels"]) for group in groups))
    assert main(["diff", f"--cp-address={kuma.url}", "--from=control-plane", f"--against={path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    service = groups[1]["labels"]["service"]
    assert lines == [
        f"Targets from the control planes now: {kuma.url}",
        "",
        "output file_sd: 1 removed, 1 changed, 1 added; 2 → 2 targets",
        f"  against the file '{path}'",
        f'  mesh "default", service "{service}": 1 changed, 1 added',
        '  mesh "m", service "web": 1 removed',
        "",
        "output file_sd:",
        "- 10.9.9.9:1 gone (mesh m)",
        f'~ {address} b (mesh default)  env: "x" → none, old: "y" → none',
        f"+ {lines[10].split()[1]} a (mesh default)",
        "",
        "no settings file",
    ]


def test_json_has_all_targets_with_their_labels(
    kuma: SimulatedControlPlane[World], tmp_path: Path, capsys: PRINTED
) -> None:
    flags = [f"--cp-address={kuma.url}", "--from=control-plane", "--format=json"]
    assert main(["diff", *flags, f"--against={write(tmp_path / 'none.json')}"]) == 0
    [output] = json.loads(capsys.readouterr().out)["outputs"]
    counts = ("added", "removed", "changed", "targets_before", "targets_after")
    assert [output[name] for name in counts] == [2, 0, 0, 0, 2]
    assert [(target["change"], target["dataplane"], target["before"]) for target in output["targets"]] == [
        ("added", "a", None),
        ("added", "b", None),
    ]
    assert output["targets"][0]["after"]["dataplane"] == "a"
    assert main(["diff", *flags, f"--against={tmp_path / 'none.json'}", "--limit=1"]) == 0
    [output] = json.loads(capsys.readouterr().out)["outputs"]
    assert (output["added"], len(output["targets"])) == (2, 1)


def test_the_exit_code_tells_a_difference_from_an_error(
    kuma: SimulatedControlPlane[World], tmp_path: Path, capsys: PRINTED
) -> None:
    flags = ["diff", "--exit-code", f"--cp-address={kuma.url}", "--from=control-plane"]
    empty, broken = write(tmp_path / "empty.json"), tmp_path / "broken.json"
    broken.write_text("{")
    assert main([*flags, f"--against={empty}"]) == 1
    assert main([*flags, f"--against={broken}"]) == 2
    assert main([*flags, f"--against={tmp_path / 'none.json'}"]) == 2
    assert main(["diff", "--exit-code"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"kuma-sd: no daemon listens at '{tmp_path}/control.sock'; start kuma-sd, or set control-socket to where it "
        "listens; or use --from control-plane; no settings file"
    )


def test_an_unexpected_error_is_no_difference(monkeypatch: pytest.MonkeyPatch, capsys: PRINTED) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("kuma_sd.cli.commands.diff.receive", fail)
    assert main(["diff", "--exit-code"]) == 3
    assert "ZeroDivisionError" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        main(["diff"])


def test_without_a_daemon_the_outputs_own_files_are_read(
    kuma: SimulatedControlPlane[World], tmp_path: Path, capsys: PRINTED
) -> None:
    flags = [f"--cp-address={kuma.url}", "--output=one=file_sd", "--output=many=file_sd", "--many-shards=2"]
    flags += [f"--one-path={tmp_path}/one.yml", f"--many-path={tmp_path}/{{shard}}.json"]
    assert main(["diff", *flags, "--from=control-plane"]) == 0
    printed = capsys.readouterr().out
    assert "output one: 2 added; 0 → 2 targets\n  against nothing: no daemon runs, and " in printed
    assert f"'{tmp_path}/0.json' and 1 other file is not there" in printed
    assert sorted(tmp_path.iterdir()) == [], "nothing is claimed or written"
    assert main(["run", "--once", *flags]) == 0
    assert main(["diff", *flags, "--from=control-plane", "--exit-code"]) == 0
    printed = capsys.readouterr().out
    assert f"no difference, 2 targets\n  against the file '{tmp_path}/one.yml', since no daemon runs" in printed
    assert f"against the file '{tmp_path}/0.json' and 1 other file, since no daemon runs" in printed
    assert main(["diff", *flags, "--from=control-plane", "--exit-code", "--many-shards=3", "--only=many"]) == 0
    assert (
        f"against its files, of which '{tmp_path}/2.json' is not there, since no daemon runs" in capsys.readouterr().out
    )


def test_one_shard_is_compared_with_its_own_part(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    for name in "cdefgh":
        kuma.world.add(Dataplane(name))
    flags = [f"--cp-address={kuma.url}", f"--file-sd-path={tmp_path}/x.json"]
    assert main(["run", "--once", *flags, "--file-sd-shard=0/2"]) == 0
    assert main(["diff", *flags, "--from=control-plane", "--exit-code", "--file-sd-shard=0/2"]) == 0
    assert main(["diff", *flags, "--from=control-plane", "--exit-code", "--file-sd-shard=1/2"]) == 1


def test_an_output_without_a_file_needs_a_daemon(tmp_path: Path) -> None:
    with pytest.raises(KumaSDError, match="output redis has published, and it has no file"):
        published(None, tmp_path / "control.sock").of("redis", [])


def test_a_saved_snapshot_is_compared(kuma: SimulatedControlPlane[World], tmp_path: Path, capsys: PRINTED) -> None:
    source = MadsSource(kuma.url, MadsOptions(), "")
    saved = tmp_path / "saved"
    saved.write_bytes(b"".join(snapshot_file.write(next(iter(source)), "anybody")))
    source.close()
    against = write(tmp_path / "none.json")
    assert main(["diff", f"--from=file:{saved}", f"--against={against}", "--limit=0"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"Targets from the saved snapshot '{saved}'\n\noutput file_sd: 2 added; 0 → 2 targets\n")
    assert printed.endswith("and 2 more; --limit 2 shows all\n\nno settings file\n")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--only=fil_sd"], "there is no output 'fil_sd' in these settings; did you mean 'file_sd'?"),
        (["--limit=-1"], "--limit must be at least 0"),
        (["--from=somewhere"], "'somewhere' is not one of daemon, control-plane, file:PATH"),
        (["--from=file:"], "'file:' is not one of daemon, control-plane, file:PATH"),
        (
            ["--output=a=file_sd", "--output=b=file_sd", "--against=x.json"],
            "a file can be compared with one output: name it, like --only a",
        ),
        (
            ["--cp-address=a=grpc://x", "--cp-address=b=grpc://y", "--from=file:x"],
            "use: --from control-plane --cp-address=a=file:PATH --cp-address=b=file:PATH",
        ),
    ],
)
def test_what_cannot_be_meant_is_said(flags: list[str], reason: str, capsys: PRINTED) -> None:
    assert main(["diff", *flags]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert reason in printed.err
    assert printed.err.count("\n") == 1


def shown(before: list[TargetGroup], after: list[TargetGroup], *, coloured: bool = False, limit: int = 50) -> list[str]:
    one = OutputDifference("x", "y", len(before), len(after), compare(before, after))
    return list(as_text(ReceivedTargets("z", []), [one], limit, Style(coloured=coloured)))


def test_what_is_shown_cannot_command_the_terminal() -> None:
    evil = {"mesh": "\x1b[2J", "instance": "\x1b[3J", "service": "\x1b[4J", "env": "\x9b5J\n"}
    before = TargetGroup.render(NO_KEY, {"__address__": "a:\x1b", **evil})
    after = TargetGroup.render(NO_KEY, {"__address__": "a:\x1b", **evil, "env": "\u202e"})
    assert all(line.isprintable() for line in shown([before], [after]))
    assert all(line.isprintable() for line in shown([], [after]))
    assert 'env: "\\u009b5J\\n" → "\\u202e"' in shown([before], [after])[-1]


def test_colours_are_for_terminals() -> None:
    groups = [TargetGroup.render(NO_KEY, {"__address__": f"{name}:1", "env": name}) for name in "abc"]
    changed = TargetGroup.render(NO_KEY, {"__address__": "b:1", "env": "x"})
    lines = shown(groups[:2], [changed, groups[2]], coloured=True)
    assert [line[:5] for line in lines[-3:]] == ["\x1b[31m", "\x1b[33m", "\x1b[32m"]
    assert not any("\x1b" in line for line in shown(groups[:2], [changed, groups[2]]))


def test_outputs_with_the_same_difference_share_its_lines() -> None:
    before = [TargetGroup.render(NO_KEY, {"__address__": f"{name}:1"}) for name in "ab"]
    after = before[:1]
    outputs = [
        OutputDifference(name, "y", 2, len(now), compare(before, now))
        for name, now in (("x", after), ("other", []), ("z", after))
    ]
    lines = list(as_text(ReceivedTargets("z", []), outputs, 50, Style(coloured=False)))
    assert [line for line in lines if line.endswith(":")] == ["outputs x, z:", "output other:"]
    assert sum(line.startswith("- ") for line in lines) == 3


def test_many_services_and_targets_are_cut_short_and_that_is_said() -> None:
    groups = [
        TargetGroup.render(NO_KEY, {"__address__": f"a:{number}", "service": f"s{number % 30:02}", "mesh": "m"})
        for number in range(31)
    ]
    lines = shown([], groups, limit=3)
    assert lines[4] == '  mesh "m", service "s00": 2 added', "the largest first"
    assert lines[23:25] == ['  mesh "m", service "s19": 1 added', "  and 10 more services"]
    assert lines[-4:-1] == ["+ a:0 (mesh m)", "+ a:30 (mesh m)", "+ a:1 (mesh m)"]
    assert lines[-1] == "and 28 more; --limit 31 shows all"
    one = OutputDifference("x", "y", 0, 31, compare([], groups))
    assert len(json.loads(as_json(ReceivedTargets("z", []), [one], None))["outputs"][0]["targets"]) == 31


@pytest.mark.skipif(not shutil.which("jq"), reason="needs Debian's package jq")
def test_the_documented_way_from_native_kuma_sd_shows_no_difference(tmp_path: Path) -> None:
    (program,) = re.findall(r"jq '(\[.*?\n\])' > native.json", (ROOT / "docs/diff.md").read_text(), flags=re.DOTALL)
    folder = DATA / "kuma-2.6.15"
    found = json.loads((folder / "native-http-v1-02.json").read_bytes())
    answer = {
        "data": {"activeTargets": [{"scrapePool": "kuma", "discoveredLabels": difference} for difference in found]}
    }
    jq = subprocess.run(["jq", program], input=json.dumps(answer).encode(), capture_output=True, check=True)
    native = tmp_path / "native.json"
    native.write_bytes(jq.stdout)
    with SimulatedControlPlane(Recording(folder), refresh=0) as kuma:
        kuma.world.advance()
        flags = [f"--cp-address={kuma.url}", "--from=control-plane", "--label-profile=kuma_sd_configs"]
        assert main(["diff", *flags, f"--against={native}", "--exit-code"]) == 0
