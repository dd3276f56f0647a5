"""Whoever may rename a directory above ours swaps it for a link, between any two system calls."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from swapping import Swapped, needs_root, swapped_at_each_call

from kuma_sd import FileClaim, file_holds, open_trusted, replace_file
from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.model import LastGoodTargets
from kuma_sd.state.instance_directory import make_instance_directory
from kuma_sd.state.saver import State
from kuma_sd.testing import CODEC, snapshot

pytestmark = needs_root

RACE_SECONDS = 0.7

GOOD = LastGoodTargets("east", frozenset({"kuma:5676"}), snapshot("a", control_plane="east").assignments, 1.0, "east")


def replace(place: Swapped) -> None:
    replace_file(place.path / "targets.json", [b"new"])


def replace_in_a_new_directory(place: Swapped) -> None:
    replace_file(place.path / "sd" / "targets.json", [b"new"])


def claim(place: Swapped) -> None:
    FileClaim(place.path / "targets.json").release()


def save(place: Swapped) -> None:
    state = State(place.path, pause=0.0)
    state.restore(["east"], {CODEC.name: CODEC}.__getitem__)
    state.save(GOOD)
    state.close()
    state.run()


def make_plugins_directory(place: Swapped) -> None:
    make_instance_directory(place.path, "output", "summary")


ACTIONS = [replace, replace_in_a_new_directory, claim, save, make_plugins_directory]


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_made_behind_the_link_whenever_it_is_put_there(
    tmp_path: Path, action: Callable[[Swapped], None]
) -> None:
    tried = 0
    for place in swapped_at_each_call(tmp_path, action):
        assert list(place.foreign.iterdir()) == [], f"before call {tried}"
        tried += 1
    assert tried > 10


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_made_behind_the_link_while_it_comes_and_goes(
    tmp_path: Path, action: Callable[[Swapped], None]
) -> None:
    place = Swapped.made(tmp_path)
    until = time.monotonic() + RACE_SECONDS
    with place.again_and_again():
        while time.monotonic() < until:
            with contextlib.suppress(KumaSDError, OSError):
                action(place)
    assert list(place.foreign.iterdir()) == []


def test_nothing_is_read_behind_the_link_whenever_it_is_put_there(tmp_path: Path) -> None:
    def read(place: Swapped) -> None:
        (place.path / "targets.json").write_bytes(b"right")
        (place.foreign / "targets.json").write_bytes(b"wrong")
        assert not file_holds(place.path / "targets.json", [b"wrong"])
        with open_trusted(place.path / "targets.json") as file:
            assert file.read() == b"right"

    assert len(list(swapped_at_each_call(tmp_path, read))) > 10


def test_no_saved_state_is_read_behind_the_link_whenever_it_is_put_there(tmp_path: Path) -> None:
    def restore(place: Swapped) -> None:
        state = State(place.path)
        restored = state.restore(["east"], {CODEC.name: CODEC}.__getitem__)
        state.close()
        assert restored.last_good == ()

    content = tmp_path / "saved"
    state = State(content)
    state.restore(["east"], {CODEC.name: CODEC}.__getitem__)
    state.save(GOOD)
    state.close()
    state.run()
    saved = (content / "east.snapshot").read_bytes()

    def restore_with_a_foreign_one(place: Swapped) -> None:
        with (place.foreign / "east.snapshot").open("wb") as file:
            file.write(saved)
        restore(place)

    for place in swapped_at_each_call(tmp_path, restore_with_a_foreign_one):
        assert [path.name for path in place.foreign.iterdir()] == ["east.snapshot"]
