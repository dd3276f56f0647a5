"""Generate the scrape jobs with which Prometheus reads the outputs."""

import socket
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kuma_sd.core.errors import ConfigError
from kuma_sd.plugin.optional_interfaces import ReadByPrometheus
from kuma_sd.prometheus.scrape_config import ScrapeJob
from kuma_sd.runtime.builder import Components
from kuma_sd.settings.model import OutputSettings, Settings
from kuma_sd.settings.schema import WebOptions

JOB = "kuma-dataplanes"
"""The job's name; with several outputs, the prefix of each name."""

_EVERYWHERE = ("", "0.0.0.0", "[::]")  # noqa: S104 (compared with, not listened at)

# As in Prometheus's own example for kuma_sd_configs: documentation/examples/prometheus-kuma.yml, 2.29 and later.
_LABELS_OF_META = (
    {"source_labels": ["__meta_kuma_mesh"], "target_label": "mesh"},
    {"source_labels": ["__meta_kuma_dataplane"], "target_label": "dataplane"},
    {"source_labels": ["__meta_kuma_service"], "target_label": "service"},
    {"action": "labelmap", "regex": "__meta_kuma_label_(.+)"},
)


class Listener(NamedTuple):
    """The daemon's HTTP address for Prometheus.

    Args:
        url: scheme, host and port.
        client: the client's configuration in Prometheus's syntax.
        comments: notes on what the reader must provide.
    """

    url: str
    client: Mapping[str, Any]
    comments: tuple[str, ...]


def scrape_jobs(
    settings: Settings, components: Components, shard: tuple[int, int] | None = None, only: str | None = None
) -> Iterator[ScrapeJob]:
    """Yield a job for each output that Prometheus can read.

    Args:
        settings: the settings.
        components: the components built from them.
        shard: the shard to read and the number of shards; None for all targets.
        only: the name of one output; None for all.

    Raises:
        ConfigError: an output has no such shard, or there is no listener.
    """
    readable = {
        name: (output_settings, output)
        for name, (output_settings, output) in components.outputs.items()
        if isinstance(output, ReadByPrometheus) and only in (None, name)
    }
    for name, (output_settings, output) in readable.items():
        job = JOB if len(readable) == 1 else f"{JOB}-{name}"
        try:
            discovery = output.service_discovery(shard)
        except ConfigError as error:
            raise ConfigError(f"output {name}: {error}") from error
        yield _job(job, discovery, output_settings, settings.web)


def _job(name: str, discovery: Mapping[str, Any], output: OutputSettings, web: WebOptions) -> ScrapeJob:
    settings, comments = dict(discovery), list[str]()
    if "http_sd_configs" in discovery:
        listener = _listener(web)
        settings["http_sd_configs"] = [
            {**entry, "url": listener.url + entry["url"], **listener.client} for entry in discovery["http_sd_configs"]
        ]
        comments += listener.comments
    if output.label_profile == "kuma_sd_configs":
        settings["relabel_configs"] = [dict(rule) for rule in _LABELS_OF_META]
    return ScrapeJob(name, settings, comments)


def _listener(web: WebOptions) -> Listener:
    if not web.listen_address:
        raise ConfigError("listen-address in [web] is empty, so Prometheus cannot reach http_sd; set it")
    host, _, port = web.listen_address[0].rpartition(":")
    comments: list[str] = []
    if host in _EVERYWHERE:
        host = socket.gethostname()
        comments.append(f"{host} is this host's name; use the one by which Prometheus reaches it.")
    elif host in ("localhost", "[::1]") or host.startswith("127."):
        comments.append(f"{host} is this machine only; set listen-address in [web] for a Prometheus on another one.")
    scheme, client = "http", dict[str, Any]()
    if web.config_file:
        scheme = _protect(web, client, comments)
    return Listener(f"{scheme}://{host}:{port}", client, tuple(comments))


def _protect(web: WebOptions, client: dict[str, Any], comments: list[str]) -> str:
    """Add the client configuration that the web configuration requires, and return the URL scheme."""
    # Imported late: most installations have no web configuration, and TLS takes long to load.
    from kuma_sd.web.server.web_config import Reading  # noqa: PLC0415

    config = Reading(web.config_file).config()
    if config.authentication:
        user = config.authentication.users[0]
        client["basic_auth"] = {"username": user, "password_file": "kuma-sd.password"}
        comments.append(f"password_file: a file beside prometheus.yml with the password of {user!r}.")
    if not config.tls:
        return "http"
    client["tls_config"] = {"ca_file": "kuma-sd-ca.pem"}
    comments.append("ca_file: the CA of kuma-sd's certificate; leave it out if the system trusts that CA.")
    if config.tls.verify_mode.name == "CERT_REQUIRED":
        client["tls_config"] |= {"cert_file": "prometheus.pem", "key_file": "prometheus.key"}
        comments.append("cert_file, key_file: the certificate of Prometheus, which kuma-sd verifies.")
    return "https"
