import signal
from pathlib import Path

from daemon_process import kuma_sd
from processes import Process
from published_names import names, never_without
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane


class Running:
    """A daemon with a file of settings that can be edited."""

    def __init__(self, directory: Path, core: str, *sections: str) -> None:
        self.config = directory / "kuma-sd.conf"
        self.edit(core, *sections)

    def edit(self, core: str, *sections: str) -> None:
        self.config.write_text(f"[kuma-sd]\n{core}\n" + "\n".join(sections))

    def reload(self, daemon: Process, expected: str = "reloaded the settings") -> None:
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_line(expected)


def with_one_file(directory: Path, kuma: SimulatedControlPlane[World]) -> tuple[Running, Path, str]:
    """Return a daemon that writes one file, the file, and its section in the settings."""
    path = directory / "targets.json"
    section = f"[file_sd]\npath = {path}"
    return Running(directory, f"cp-address = {kuma.url}", section), path, section


def in_the_way(directory: Path) -> Path:
    """Return a path that cannot be written until its parent, a file, is removed."""
    parent = directory / "in-the-way"
    parent.write_text("no directory")
    return parent / "targets.json"


def test_an_output_comes_and_goes_and_the_file_of_the_one_that_went_stays(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    both = (f"[one]\npath = {one}", f"[two]\npath = {two}")
    running = Running(tmp_path, f"cp-address = {kuma.url}\noutput = one=file_sd", both[0])
    with kuma_sd("run", "-c", running.config) as daemon:
        daemon.wait_for_line('published" output=one')
        inode = one.stat().st_ino
        running.edit(f"cp-address = {kuma.url}\noutput = one=file_sd two=file_sd", *both)
        running.reload(daemon)
        eventually(lambda: names(two) == ["a", "b"], "the new output has published")
        assert one.stat().st_ino == inode
        running.edit(f"cp-address = {kuma.url}\noutput = two=file_sd", both[1])
        running.reload(daemon)
        kuma.world.add(Dataplane("c"))
        eventually(lambda: names(two) == ["a", "b", "c"], "the other output goes on")
        assert names(one) == ["a", "b"]
        assert kuma.counts.streams == 1
        assert daemon.stop() < 1.0


def test_bad_settings_leave_the_old_ones_and_say_why(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    running, path, section = with_one_file(tmp_path, kuma)
    with kuma_sd("run", "-c", running.config) as daemon:
        daemon.wait_for_line("published")
        running.edit(f"cp-address = {kuma.url}\nmin-interval = soon", section)
        running.reload(daemon, "the settings were not reloaded, the old ones stay")
        assert f"{running.config}:3" in daemon.output
        kuma.world.add(Dataplane("c"))
        eventually(lambda: names(path) == ["a", "b", "c"], "the daemon goes on")


def test_a_file_that_says_nothing_any_more_is_refused(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    running, path, section = with_one_file(tmp_path, kuma)
    with kuma_sd("run", "-c", running.config, f"--state-dir={tmp_path}/state") as daemon:
        daemon.wait_for_line("published")
        running.config.write_text("")
        daemon.wait_for_line("there is not a single setting in ")
        assert list((tmp_path / "state").glob("*.snapshot"))
        running.edit(f"cp-address = {kuma.url}", section)
        kuma.world.add(Dataplane("c"))
        eventually(lambda: names(path) == ["a", "b", "c"], "the daemon goes on")
    assert "localhost" not in daemon.output


def test_an_output_that_cannot_take_another_place_leaves_the_old_one_until_it_can(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    old, new = tmp_path / "old.json", in_the_way(tmp_path)
    running = Running(tmp_path, f"cp-address = {kuma.url}", f"[file_sd]\npath = {old}")
    with kuma_sd("run", "-c", running.config) as daemon:
        daemon.wait_for_line("published")
        running.edit(f"cp-address = {kuma.url}", f"[file_sd]\npath = {new}")
        daemon.wait_for_line("the settings were not reloaded, the old ones stay")
        kuma.world.add(Dataplane("c"))
        eventually(lambda: names(old) == ["a", "b", "c"], "the old output goes on")
        old.unlink()
        eventually(lambda: names(old) == ["a", "b", "c"], "it also restores its file")
        new.parent.unlink()
        eventually(lambda: names(new) == ["a", "b", "c"], "the new one takes over once it can")
        kuma.world.add(Dataplane("d"))
        eventually(lambda: names(new) == ["a", "b", "c", "d"], "the new one goes on")
        assert names(old) == ["a", "b", "c"]
        assert daemon.stop() < 1.0
    assert daemon.output.count("not reloaded") == 1


def test_outputs_swap_their_files_without_a_hole_and_with_everything_else_in_the_same_edit(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    outputs = "output = one=file_sd two=file_sd"
    before = (f"[one]\npath = {one}", f"[two]\npath = {two}\nlabel-profile = both")
    after = (f"[one]\npath = {two}", f"[two]\npath = {one}\nlabel-profile = both")
    with control_plane(Dataplane("z")) as other:
        running = Running(tmp_path, f"cp-address = east={kuma.url}\n{outputs}", *before)
        with kuma_sd("run", "-c", running.config) as daemon:
            eventually(lambda: names(one) == names(two) == ["a", "b"], "both outputs have published")
            with never_without(["a", "b"], one, two):
                running.edit(f"cp-address = east={kuma.url} west={other.url}\n{outputs}", *after)
                daemon.wait_for_line("reloaded the settings")
                eventually(lambda: names(one) == names(two) == ["a", "b", "z"], "both outputs have the new target")
            assert b"__meta_kuma_mesh" in one.read_bytes()
            assert b"__meta_kuma_mesh" not in two.read_bytes()
        assert "not reloaded" not in daemon.output


def test_an_output_that_cannot_be_started_is_tried_again_and_delays_no_other(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.json", in_the_way(tmp_path)
    running = Running(tmp_path, f"cp-address = {kuma.url}\noutput = good=file_sd", f"[good]\npath = {good}")
    with kuma_sd("run", "-c", running.config) as daemon:
        daemon.wait_for_line("published")
        running.edit(
            f"cp-address = {kuma.url}\noutput = good=file_sd bad=file_sd",
            f"[good]\npath = {good}",
            f"[bad]\npath = {bad}",
        )
        running.reload(daemon, 'output=bad reason="cannot write into the directory')
        kuma.world.add(Dataplane("c"))
        eventually(lambda: names(good) == ["a", "b", "c"], "the other output goes on")
        bad.parent.unlink()
        eventually(lambda: names(bad) == ["a", "b", "c"], "it recovers by itself")


def test_a_control_plane_that_is_removed_takes_its_targets_along_whatever_the_guard(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    path = tmp_path / "targets.json"
    section = f"[file_sd]\npath = {path}"
    with control_plane("c") as other:
        running = Running(tmp_path, f"cp-address = east={kuma.url} west={other.url}", section)
        with kuma_sd("run", "-c", running.config) as daemon:
            daemon.wait_for_line("published")
            assert names(path) == ["a", "b", "c"]
            running.edit(f"cp-address = west={other.url}", section)
            running.reload(daemon, 'new settings in effect" output=file_sd added=0 removed=2 changed=0')
            eventually(lambda: names(path) == ["c"], "the removed control plane's targets are gone")


def test_another_address_under_the_same_name_replaces_the_targets_without_a_hole(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    path = tmp_path / "targets.json"
    section = f"[file_sd]\npath = {path}"
    with control_plane() as other:
        running = Running(tmp_path, f"cp-address = {kuma.url}", section)
        with kuma_sd("run", "-c", running.config) as daemon:
            daemon.wait_for_line("published")
            running.edit(f"cp-address = {other.url}", section)
            running.reload(daemon)
            other.wait_for(lambda counts: counts.acks >= 1)
            assert names(path) == ["a", "b"]
            other.world.add(Dataplane("z"))
            eventually(lambda: names(path) == ["z"], "the new control plane's targets replace the old ones")


def test_a_changed_option_of_an_output_restarts_only_that(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    running = Running(tmp_path, f"cp-address = {kuma.url}", f"[file_sd]\npath = {path}")
    with kuma_sd("run", "-c", running.config) as daemon:
        daemon.wait_for_line("published")
        running.edit(f"cp-address = {kuma.url}", f"[file_sd]\npath = {path}\nmode = 0600")
        running.reload(daemon)
        eventually(lambda: path.stat().st_mode & 0o777 == 0o600, "the file has the new mode")
        assert names(path) == ["a", "b"]
        assert kuma.counts.streams == 1


def test_an_edited_file_is_noticed_without_a_signal(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    running, path, section = with_one_file(tmp_path, kuma)
    with kuma_sd("run", "-c", running.config) as daemon:
        daemon.wait_for_line("published")
        running.edit(f"cp-address = {kuma.url}\nlabel-profile = both", section)
        daemon.wait_for_line('new settings in effect" output=file_sd added=0 removed=0 changed=2')
        eventually(lambda: b"__meta_kuma_mesh" in path.read_bytes(), "the new labels are written")
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_line("the settings are unchanged")
