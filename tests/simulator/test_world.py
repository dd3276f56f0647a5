import pytest

from kuma_sd.simulator import Dataplane, World


class CountingFormat:
    """Writes names, and remembers what it was asked to write."""

    transport = type_url = "test"

    def __init__(self) -> None:
        self.written: list[str] = []

    def resource(self, dataplane: Dataplane) -> bytes:
        self.written.append(dataplane.name)
        return dataplane.name.encode() + b" " + dataplane.address.encode()

    def recorded(self, response: bytes) -> list[bytes]:
        raise AssertionError(f"a world was not recorded: {response!r}")


@pytest.fixture
def format_() -> CountingFormat:
    return CountingFormat()


@pytest.fixture
def world() -> World:
    return World(Dataplane(f"backend-{number:04}", address=f"127.0.0.1:{number}") for number in range(1000))


def test_only_what_changed_is_encoded_again(world: World, format_: CountingFormat) -> None:
    render = world.renderer(format_)
    assert len(render()) == len(format_.written) == 1000
    format_.written.clear()
    world.alter("backend-0007", address="127.0.0.1:1")
    world.remove("backend-0008", "backend-0009")
    world.add(Dataplane("web-01"))
    resources = render()
    assert sorted(format_.written) == ["backend-0007", "web-01"]
    assert len(resources) == 999
    assert b"backend-0007 127.0.0.1:1" in resources


def test_replacing_the_world_encodes_only_what_differs(world: World, format_: CountingFormat) -> None:
    render = world.renderer(format_)
    render()
    format_.written.clear()
    world.replace([*world.dataplanes[:500], Dataplane("backend-0000", address="127.0.0.9:9"), Dataplane("web-01")])
    assert len(render()) == 501
    assert sorted(format_.written) == ["backend-0000", "web-01"]


def test_each_protocol_sees_every_change_once(world: World, format_: CountingFormat) -> None:
    early, late = world.renderer(format_), world.renderer(CountingFormat())
    early()
    world.remove("backend-0001")
    assert sorted(early()) == sorted(late())
    world.clear()
    assert early() == late() == []


def test_every_change_is_told(world: World) -> None:
    told: list[int] = []
    world.subscribe(lambda: told.append(len(world)))
    world.add(Dataplane("web-01"), Dataplane("web-02"))
    world.alter("web-01", service="web")
    world.remove("web-01")
    world.replace([Dataplane("web-03", mesh="payments")])
    world.clear()
    assert told == [1002, 1002, 1001, 1, 0]


def test_nobody_is_told_after_unsubscribing(world: World) -> None:
    told: list[int] = []

    def listen() -> None:
        told.append(len(world))

    world.subscribe(listen)
    world.unsubscribe(listen)
    world.clear()
    assert told == []


def test_dataplanes_of_equal_names_live_in_different_meshes() -> None:
    world = World([Dataplane("backend-01"), Dataplane("backend-01", mesh="payments")])
    world.alter("backend-01", mesh="payments", address="127.0.0.2:1")
    world.remove("backend-01")
    assert world.dataplanes == [Dataplane("backend-01", mesh="payments", address="127.0.0.2:1")]


def test_what_is_not_there_can_neither_be_altered_nor_removed(world: World) -> None:
    with pytest.raises(KeyError):
        world.alter("web-01", address="127.0.0.1:1")
    with pytest.raises(KeyError):
        world.remove("backend-0001", mesh="payments")
