"""Which protocol kuma-sd finds, by the version of Kuma and the form of the address; run it for a table in Markdown."""

import random
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from kuma_sd import SourceError
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.simulator import ApiServer, Dataplane, SimulatedControlPlane, World, kuma

VERSIONS = (
    *("0.3.2", "0.7.3", "1.0.8", "1.1.6", "1.2.3", "1.3.1", "1.8.8"),
    *("2.0.8", "2.6.15", "2.11.18", "2.14.3", "3.0"),
)

FORMS = ("http://kuma:5681", "grpc://kuma:5676", "grpcs://kuma:5676", "http://kuma:5676", "https://kuma:5676")

DATAPLANES = (
    Dataplane("backend-01", "demo", "backend", "192.0.2.1:1234", labels={"env": "prod", "envs": ",prod,"}),
    Dataplane("web-01", "default", "web", "[2001:db8::1]:5670", metrics_path="/custom"),
)

NO_MADS = "no: MADS has an address of its own"
"""What the table says where the address of an API server leads nowhere."""

NO_TLS = "no: MADS has no TLS there"
"""What the table says where an encrypted address meets a Kuma that cannot encrypt."""


@dataclass(frozen=True)
class Cell:
    """What became of one address.

    Args:
        protocol: what was spoken; empty when it failed.
        targets: what was discovered.
        error: why it failed.
    """

    protocol: str = ""
    targets: frozenset[tuple[str, ...]] = frozenset()
    error: str = ""

    def __str__(self) -> str:
        if "no MADS" in self.error:
            return NO_MADS
        return self.protocol or (NO_TLS if "TLS" in self.error else f"no: {self.error}")


def expected() -> frozenset[tuple[str, ...]]:
    """Return what each cell must discover."""
    return frozenset(
        (dataplane.mesh, dataplane.name, dataplane.service, dataplane.address, dataplane.scheme, dataplane.metrics_path)
        for dataplane in DATAPLANES
    )


@contextmanager
def row(version: str, folder: Path) -> Iterator[dict[str, Cell]]:
    """Run a Kuma and try all forms of its address; the authority's certificate is written into the folder."""
    # A host of its own, where the usual port is free: addresses of API servers lead there.
    host = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    world, line, authority = World(DATAPLANES), kuma(version), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(tls)
    with ExitStack() as stack:
        api = ApiServer(host)
        plain = stack.enter_context(SimulatedControlPlane(world, host, 5676, line=line, api=api))
        encrypted = stack.enter_context(SimulatedControlPlane(world, host, line=line, tls=tls)) if line.tls else plain
        addresses = dict.fromkeys(FORMS, plain.address) | {FORMS[0]: api.address}
        addresses |= {form: encrypted.address for form in FORMS if "s://" in form}
        yield {
            form: cell(f"{form.partition('://')[0]}://{address}", folder / "ca.pem")
            for form, address in addresses.items()
        }


def cell(address: str, authority: Path) -> Cell:
    """Connect once, as the daemon does, with no setting but the authority."""
    source = MadsSource(address, MadsOptions(tls_ca_file=str(authority)), "")
    try:
        snapshot = next(iter(source))
        targets = [assignment.read() for assignment in snapshot.assignments]
        protocol = source.status.protocol
    except SourceError as error:
        return Cell(error=str(error))
    finally:
        source.close()
    return Cell(
        protocol,
        frozenset(
            (target.mesh, target.name, target.service, target.address, target.scheme, target.metrics_path)
            for target in targets
        ),
    )


def table(rows: dict[str, dict[str, Cell]]) -> str:
    """Return the cells as a table in Markdown."""
    lines = [["Kuma", *(f"`{form}`" for form in FORMS)], ["---"] * (len(FORMS) + 1)]
    lines += [[version, *(str(cells[form]) for form in FORMS)] for version, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def all_rows(versions: Iterable[str] = VERSIONS) -> dict[str, dict[str, Cell]]:
    """Run all control planes, one after the other."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for version in versions:
            with row(version, Path(folder)) as cells:
                rows[version] = cells
    return rows


if __name__ == "__main__":
    print(table(all_rows()), end="")  # noqa: T201 (what script/matrix is for)
