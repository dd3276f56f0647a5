"""Renews the pictures in docs/images; run it by script/screenshots. It needs Debian's chromium and chromium-driver.

A real daemon follows two simulated control planes, one of which forgets a part of its dataplanes, so that the guard
holds them. The day before is made up: nobody wants to wait for it.
"""

import contextlib
import dataclasses
import logging
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from browser import browser
from msgspec.structs import replace
from publishing import Published
from selenium import webdriver
from waiting import eventually

from kuma_sd.core.publication import Publication
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.status_collector import StatusCollector
from kuma_sd.service.http_app import page_data_of
from kuma_sd.settings.loader import load
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.simulator.generated_world import labels_of_tags
from kuma_sd.telemetry.history import FINE
from kuma_sd.telemetry.status import Status
from kuma_sd.web.application import Application
from kuma_sd.web.page.handlers import add_page
from kuma_sd.web.server.serving import Serving
from kuma_sd.web.server.tcp_listeners import bind, written

IMAGES = Path(__file__).parents[2] / "docs/images"

RULES = """\
- {source_labels: [env], regex: dev, action: drop}
- {source_labels: [service], target_label: job}
"""

CONFIG = """\
[kuma-sd]
cp-address = east={east} west={west}
transform = nodev=relabel
output = file_sd payments=file_sd sd=http_sd
state-dir = {directory}/state
guard-hold = 10m
[nodev]
rules = {directory}/rules.yml
[file_sd]
path = {directory}/kuma.file_sd.json
[payments]
path = {directory}/payments.file_sd.json
transform = nodev only=filter
[only]
match = mesh="payments"
[sd]
transform = nodev
"""


def dataplanes(mesh: str, services: str, count: int, block: int) -> Iterator[Dataplane]:
    """Yield dataplanes of one mesh as they are in life."""
    for number in range(count):
        service = services.split()[number % len(services.split())]
        tags = {
            "kuma.io/service": service,
            "kuma.io/protocol": "http" if number % 3 else "grpc",
            "kuma.io/zone": f"zone-{1 + number % 3}",
            "env": "dev" if number % 17 == 5 else "prod",
            "version": f"v{2 + number % 5}",
        }
        name = f"{service}-{random.Random(number).getrandbits(40):010x}.{mesh}"
        yield Dataplane(
            name, mesh, service, f"10.{block}.{number // 250}.{number % 250}:5670", labels=labels_of_tags([tags])
        )


def worlds() -> tuple[World, World]:
    """Return what two control planes serve."""
    east = [
        *dataplanes("payments", "checkout ledger payout fraud-check", 184, 1),
        *dataplanes("shop", "web cart search catalog recommendations", 640, 2),
    ]
    west = [
        *dataplanes("shop-west", "web cart search", 420, 3),
        *dataplanes("logistics", "tracking routes depots", 96, 4),
    ]
    return World(east), World(west)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[tuple[str, World]]:
    """Run everything; yields where the page is, and the world of the first control plane."""
    east, west = worlds()
    with SimulatedControlPlane(east, refresh=0) as one, SimulatedControlPlane(west, refresh=0) as two:
        (directory / "rules.yml").write_text(RULES)
        config = directory / "kuma-sd.conf"
        config.write_text(CONFIG.format(east=one.url, west=two.url, directory=directory))
        daemon = Daemon(load(["-c", str(config)], {}, Plugins()))
        collector = StatusCollector(daemon)
        application = Application(lambda: daemon.components.served)
        add_page(
            application, replace(page_data_of(daemon, collector, lambda: True), status=lambda: aged(collector.status()))
        )
        daemon.start()
        serving = Serving(bind("127.0.0.1:0"), application)
        url = f"http://{written(serving.socket.getsockname())}/"
        daemon.threads.start("web", serving)
        try:
            eventually(lambda: all(worker.status.published for worker in daemon.outputs.values()), "all is published")
            yesterday(daemon, collector)
            forget(east, daemon)
            collector.look()
            yield url, east
        finally:
            daemon.stop()


def forget(world: World, daemon: Daemon) -> None:
    """Let most of a mesh vanish, which is what the guard is for, and change a little besides."""
    lost = [
        dataplane
        for dataplane in world.dataplanes
        if dataplane.mesh == "payments" and dataplane.service in ("ledger", "payout", "fraud-check")
    ]
    world.replace([dataplane for dataplane in world.dataplanes if dataplane not in lost])
    eventually(lambda: daemon.pipeline.status.control_planes["east"].guard.held.targets, "the guard holds them")


def yesterday(daemon: Daemon, collector: StatusCollector) -> None:
    """Make up what was published before: a slow growth, a rollout, a moment in which a zone was gone."""
    dice, now = random.Random(4), time.time()
    for name, worker in daemon.outputs.items():
        final = worker.status.published
        assert final
        count = len(final.groups)
        share, publication, published = 0.72, None, Published(collector.history)
        for step in range(int(86400 / FINE), 0, -1):
            when = now - step * FINE
            if dice.random() < 0.012:
                share = min(1.0, max(0.6, share + dice.gauss(0.004, 0.012)))
            present = 0.55 * share if 3000 < step < 3120 else share if step > 40 else 1.0
            if publication is None or len(publication.groups) != int(count * present):
                publication = Publication(final.groups[: int(count * present)], when)
            published.note(name, publication, when, when)
        published.note(name, final, now, now)


def aged(status: Status) -> Status:
    """Let a daemon look as if it had been up for days."""
    planes = tuple(
        replace(
            item,
            source=dataclasses.replace(item.source, since=item.source.since and item.source.since - hours * 3600),
            connection=replace(item.connection, snapshots=item.connection.snapshots + int(hours * 41)),
        )
        for item, hours in zip(status.control_planes, (5.2, 73.5), strict=True)
    )
    outputs = tuple(
        replace(item, publishing=replace(item.publishing, publications=item.publishing.publications + 3120))
        for item in status.outputs
    )
    return replace(status, started=status.started - 73.6 * 3600, control_planes=planes, outputs=outputs)


def shoot(driver: webdriver.Chrome, url: str, name: str, size: tuple[int, int], *, dark: bool = False) -> None:
    """Take a picture."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(url)
    path = IMAGES / f"{name}.png"
    driver.get_screenshot_as_file(str(path))
    with contextlib.suppress(ImportError):
        # A quarter of the size; without it the pictures are as good, and larger.
        from PIL import Image  # noqa: PLC0415

        Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Take all pictures."""
    logging.basicConfig(level=logging.WARNING)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as (url, _), browser() as driver:
        laptop, phone = (1366, 760), (390, 844)
        shoot(driver, url, "status-light", laptop)
        shoot(driver, url, "status-dark", laptop, dark=True)
        shoot(driver, url, "status-phone", phone)
        shoot(driver, f"{url}targets?q=checkout+zone-2", "targets", laptop)
        shoot(driver, f"{url}targets?q=checkout+zone-2", "targets-phone", phone, dark=True)
        names = [
            dataplane.name
            for dataplane in dataplanes("payments", "checkout ledger payout fraud-check", 184, 1)
            if dataplane.labels["env"] == "dev"
        ]
        shoot(driver, f"{url}explain?selector={names[1]}", "explain-dropped", laptop)


if __name__ == "__main__":
    main()
