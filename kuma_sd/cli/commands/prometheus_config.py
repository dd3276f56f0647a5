"""Print the scrape jobs with which Prometheus reads what kuma-sd publishes.

Examples:
  kuma-sd prometheus-config -c /etc/kuma-sd.conf
  kuma-sd prometheus-config --jobs-only >> /etc/prometheus/prometheus.yml
  kuma-sd prometheus-config --shard 2/8

There is one job for each output that Prometheus can read: the files of file_sd, or the URL of http_sd with the TLS and
login that the listener asks for. If an output has shards, say with --shard which one this Prometheus reads.
"""

import argparse
from typing import TYPE_CHECKING

from kuma_sd.cli.main import argument_type
from kuma_sd.core.errors import ConfigError
from kuma_sd.core.text import did_you_mean
from kuma_sd.prometheus.scrape_config import scrape_config
from kuma_sd.prometheus.sharding import SHARD
from kuma_sd.runtime.builder import build
from kuma_sd.runtime.scrape_jobs import scrape_jobs
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument("--shard", metavar="N/M", type=argument_type(SHARD), help="the shard to read, like 2/8")
    parser.add_argument("--only", metavar="OUTPUT", help="print the job of this output alone")
    parser.add_argument(
        "--jobs-only",
        action="store_true",
        help="leave out the key scrape_configs, to append to a file that ends with the list of jobs",
    )


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Print the jobs."""
    assert settings is not None
    names = [output.name for output in settings.outputs]
    if arguments.only not in (None, *names):
        raise ConfigError(f"there is no output '{arguments.only}'{_suggestion(arguments.only, names)}")
    components = build(settings)
    warn(components)
    jobs = list(scrape_jobs(settings, components, arguments.shard, arguments.only))
    components.close()
    if not jobs:
        raise ConfigError("Prometheus cannot read any of these outputs; add file_sd or http_sd to output")
    print("\n".join(scrape_config(jobs, jobs_only=arguments.jobs_only)))
    return 0


def _suggestion(name: str, names: "Sequence[str]") -> str:
    return did_you_mean(name, names) or f"; there are {', '.join(names)}"
