"""Targets over the API: equal to those over MADS, kept when one takes the other's place, and of all zones at once."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_process import kuma_sd
from prometheus import needs_prometheus, prometheus, promtool_accepts, write_config
from waiting import eventually

from kuma_sd.simulator import ApiServer, Dataplane, GeneratedWorld, SimulatedControlPlane, World, kuma


@contextlib.contextmanager
def control_plane(version: str, world: World, **how: Any) -> Iterator[tuple[SimulatedControlPlane[World], ApiServer]]:
    api = ApiServer(**how)
    with SimulatedControlPlane(world, refresh=0, line=kuma(version), api=api) as running:
        yield running, api


def targets(file: Path) -> dict[tuple[str, str], dict[str, str]]:
    groups = json.loads(file.read_bytes())
    return {
        (group["labels"]["mesh"], group["labels"]["dataplane"]): group["labels"] | {"__address__": group["targets"][0]}
        for group in groups
    }


def published_once(address: str, file: Path, *arguments: str) -> bytes:
    with kuma_sd("run", "--once", f"--cp-address={address}", f"--file-sd-path={file}", *arguments) as process:
        assert process.wait() == 0, process.output
    return file.read_bytes()


@pytest.mark.parametrize(
    ("version", "profile"),
    [
        ("1.2.3", "kuma-prometheus-sd"),
        ("2.5.0", "both"),
        ("2.6.15", "kuma-prometheus-sd"),
        ("2.14.3", "kuma_sd_configs"),
        ("2.14.3", "both"),
    ],
)
def test_mads_and_api_of_one_world_give_equal_files(version: str, profile: str, tmp_path: Path) -> None:
    with control_plane(version, GeneratedWorld(300)) as (running, api):
        chosen = f"--label-profile={profile}"
        over_mads = published_once(running.url, tmp_path / "mads.json", chosen)
        over_api = published_once(f"kuma-api+{api.url}", tmp_path / "api.json", chosen)
    assert over_api == over_mads
    assert over_api.count(b"targets") == 300


@pytest.mark.parametrize(("client", "count"), [("prometheus", 300), ("another", 0)])
def test_a_client_gets_what_names_it(client: str, count: int, tmp_path: Path) -> None:
    with control_plane("2.14.3", GeneratedWorld(300)) as (running, api):
        running.serve_only("prometheus")
        arguments = (f"--name={client}", "--allow-empty")
        found = published_once(f"kuma-api+{api.url}", tmp_path / "api.json", *arguments)
    assert found.count(b"targets") == count


@pytest.mark.parametrize("order", ["mads first", "api first"])
def test_targets_stay_when_the_api_takes_the_place_of_mads_and_back(order: str, tmp_path: Path) -> None:
    file, world = tmp_path / "targets.json", GeneratedWorld(50)
    arguments = [f"--file-sd-path={file}", f"--state-dir={tmp_path / 'state'}", "--web-listen-address="]
    with control_plane("2.14.3", world) as (running, api):
        addresses = [running.url, f"kuma-api+{api.url}"]
        first, second = addresses if order == "mads first" else reversed(addresses)
        with kuma_sd("run", f"--cp-address={first}", *arguments) as process:
            process.wait_for_line("published")
        before = file.read_bytes()
        file.unlink()
        with kuma_sd("run", f"--cp-address={second}", *arguments) as process:
            process.wait_for_line('msg="connected"')
            eventually(file.exists, "it is published")
            assert file.read_bytes() == before
            # What the state file held and what was received are the same targets.
            world.alter(*reversed(world.dataplanes[0].key), metrics_path="/changed")
            if order == "api first":
                eventually(lambda: b"/changed" in file.read_bytes(), "the change is published")
            assert len(targets(file)) == 50


@needs_prometheus
@pytest.mark.timeout(120)
def test_two_zones_behind_a_global_control_plane_reach_one_prometheus(tmp_path: Path) -> None:
    file = tmp_path / "targets.json"
    world = World([Dataplane(f"web-{number}", address=f"127.1.0.{number + 1}:5670") for number in range(20)])
    with control_plane("2.14.3", world, zones=["east", "west"]) as (_, api):
        address = f"--cp-address=kuma-api+{api.url}"
        arguments = (f"--file-sd-path={file}", "--api-interval=1s", "--web-listen-address=", "--guard-hold=0")
        with kuma_sd("run", address, *arguments) as process:
            assert "of a global control plane, 2 zones, 20 dataplanes" in process.wait_for_line('msg="connected"')
            eventually(file.exists, "it is published")
            config = write_config(tmp_path, file)
            promtool_accepts(config)
            with prometheus(config) as server:
                eventually(lambda: len(server.discovered(file)) == 20, "Prometheus knows all targets")
                found = server.discovered(file)
                assert {target["kuma_io_zone"] for target in found} == {"east", "west"}
                assert {target["dataplane"] for target in found} == {f"web-{number}" for number in range(20)}
                world.remove("web-7")
                eventually(lambda: len(server.discovered(file)) == 19, "Prometheus forgets the one that is gone")


def test_zones_can_be_chosen(tmp_path: Path) -> None:
    world = World([Dataplane(f"web-{number}") for number in range(20)])
    with control_plane("3.0", world, zones=["east", "west"]) as (_, api):
        address = f"kuma-api+{api.url}"
        east = published_once(address, tmp_path / "east.json", "--zones=east")
        west = published_once(address, tmp_path / "west.json", "--zones=west")
    names = [set(targets(tmp_path / f"{zone}.json")) for zone in ("east", "west")]
    assert east != west
    assert (len(names[0] | names[1]), names[0] & names[1]) == (20, set())


def test_a_zone_that_is_no_longer_chosen_goes_at_once_and_comes_back(tmp_path: Path) -> None:
    file, settings = tmp_path / "targets.json", tmp_path / "kuma-sd.conf"
    world = World([Dataplane(f"web-{number}") for number in range(20)])

    def zones(chosen: str) -> None:
        fresh = tmp_path / "new"
        fresh.write_text(
            f"[kuma-sd]\ncp-address = kuma-api+{api.url}\nzones = {chosen}\nstate-dir = {tmp_path / 'state'}\n"
            f"[file_sd]\npath = {file}\n[web]\nlisten-address =\n"
        )
        fresh.rename(settings)

    def published() -> set[str]:
        return {labels["kuma_io_zone"] for labels in targets(file).values()} if file.exists() else set()

    with control_plane("3.0", world, zones=["east", "west"]) as (_, api):
        zones("east west")
        with kuma_sd("run", "-c", str(settings)):
            eventually(lambda: published() == {"east", "west"}, "both zones are published")
            zones("east")
            # The guard would hold them for two minutes.
            eventually(lambda: published() == {"east"}, "only the zone that is chosen is published")
            zones("")
            eventually(lambda: published() == {"east", "west"}, "all zones are published")


def test_equal_names_in_two_zones_are_two_targets(tmp_path: Path) -> None:
    # As on a global control plane, where names have a hash; their names in the zones are equal.
    world = World([Dataplane("web-0", address="127.1.0.1:1"), Dataplane("web-0", mesh="m", address="127.1.0.2:1")])
    with control_plane("3.0", world, zones=["east"]) as (_, api):
        found = published_once(f"kuma-api+{api.url}", tmp_path / "targets.json")
    assert found.count(b'"dataplane":"web-0"') == 2


def test_kuma_3_on_kubernetes_is_followed_where_mads_leads_nowhere(tmp_path: Path) -> None:
    with control_plane("3.0", GeneratedWorld(30), kubernetes=True) as (_, api):
        with kuma_sd("run", f"--cp-address={api.url}", f"--file-sd-path={tmp_path / 'no.json'}") as process:
            # The way there: which address to use instead.
            process.wait_for_line(f"kuma-api+{api.url}")
        published_once(f"kuma-api+{api.url}", tmp_path / "targets.json")
    assert all("." in name for _, name in targets(tmp_path / "targets.json"))
    assert all(labels["job"] != "unknown" for labels in targets(tmp_path / "targets.json").values())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--kuma-version=2.14.3", "--zone=east"], "a global control plane, which has none: give the zones'"),
        (["--kuma-version=2.14.3", "--no-mads"], "where it is switched off"),
        (["--kuma-version=3.0", "--environment=kubernetes"], "on Kubernetes, where Kuma 3 has none"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_at_the_api_server_of_a_simulated_kuma_without_mads_the_log_says_why_and_the_way_out_works(
    flags: list[str], said: str, tmp_path: Path
) -> None:
    arguments = ["simulate", *flags, "--api-listen=127.0.0.1:0", "--targets=3", "--churn=0"]
    with kuma_sd(*arguments) as simulator:
        url = simulator.wait_for_line("API server at ").partition("API server at ")[2]
        way_out = f"kuma-api+{url}"
        with kuma_sd("run", f"--cp-address={url}", f"--file-sd-path={tmp_path}/none.json") as daemon:
            line = daemon.wait_for_line("no MADS at")
        assert said in line
        assert f"get the targets from the API, with {way_out}" in line
        assert published_once(way_out, tmp_path / "kuma.json").count(b'"targets"') == 3
