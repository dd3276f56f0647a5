import pytest
from raw_http import PATH, HttpConnection

from kuma_sd import ConfigError
from kuma_sd.simulator import ApiServer, SimulatedControlPlane, World, kuma


def catalog(version: str) -> tuple[int, dict[str, object], str]:
    """Return status and APIs of the catalog of a version, and the address of its MADS."""
    api = ApiServer()
    with SimulatedControlPlane(World(), line=kuma(version), api=api) as control_plane:
        client = HttpConnection(api.address)
        reply = client.send("GET", "/catalog")
        client.close()
        return reply.status, reply.json["apis"] if reply.status == 200 else {}, control_plane.address


@pytest.mark.parametrize("version", ["0.3.2", "0.7.3"])
def test_the_catalog_says_where_mads_is(version: str) -> None:
    status, apis, address = catalog(version)
    assert status == 200
    assert set(apis) == {"bootstrap", "dataplaneToken", "admin", "monitoringAssignment"}
    assert apis["monitoringAssignment"] == {"url": f"grpc://localhost:{address.rpartition(':')[2]}"}


def test_later_it_no_longer_does() -> None:
    assert set(catalog("1.0.8")[1]) == {"bootstrap", "dataplaneToken"}


@pytest.mark.parametrize("version", ["1.1.6", "2.14.3", "3.0"])
def test_in_the_end_there_is_none(version: str) -> None:
    assert catalog(version)[0] == 404


@pytest.mark.parametrize("version", ["0.7.3", "1.2.3", "2.14.3"])
def test_it_serves_no_mads(version: str) -> None:
    api = ApiServer()
    with SimulatedControlPlane(World(), line=kuma(version), api=api):
        client = HttpConnection(api.address)
        assert client.poll().status == 404
        assert client.send("GET", PATH).status == 404
        client.close()


def test_the_name_of_the_host_can_be_told() -> None:
    api = ApiServer(advertised="kuma.example")
    with SimulatedControlPlane(World(), line=kuma("0.7.3"), api=api) as control_plane:
        client = HttpConnection(api.address)
        url = client.send("GET", "/catalog").json["apis"]["monitoringAssignment"]["url"]
        assert url == f"grpc://kuma.example:{control_plane.address.rpartition(':')[2]}"
        client.close()


def test_it_comes_and_goes_with_its_control_plane() -> None:
    api = ApiServer()
    control_plane = SimulatedControlPlane(World(), api=api)
    for _ in range(3):
        control_plane.start()
        address = api.address
        client = HttpConnection(address)
        assert client.send("GET", "/catalog").status == 404
        client.close()
        control_plane.close()
        with pytest.raises(ConnectionRefusedError):
            HttpConnection(address).connection.connect()


def test_when_it_cannot_listen_the_control_plane_does_not_either() -> None:
    with SimulatedControlPlane(World()) as other:
        host, _, port = other.address.rpartition(":")
        control_plane = SimulatedControlPlane(World(), api=ApiServer(host, int(port)))
        with pytest.raises(ConfigError, match=f"cannot listen at {other.address}"):
            control_plane.start()
        with pytest.raises(ConnectionRefusedError):
            HttpConnection(control_plane.address).connection.connect()
