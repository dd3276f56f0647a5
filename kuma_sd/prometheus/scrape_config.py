"""Write the scrape jobs with which Prometheus reads what outputs publish."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

DROP_EVERYTHING = {"action": "drop"}
"""A relabelling rule that drops each target before it is scraped."""


class ScrapeJob(msgspec.Struct, frozen=True):
    """A job of Prometheus's ``scrape_configs``.

    Args:
        name: its ``job_name``.
        settings: everything else in it, as Prometheus spells it.
        comments: sentences for the user who copies the job.
    """

    name: str
    settings: Mapping[str, Any]
    comments: Sequence[str] = ()


def scrape_config(jobs: Iterable[ScrapeJob], *, jobs_only: bool = False) -> Iterator[str]:
    """Yield the lines of a Prometheus configuration file.

    Args:
        jobs: the jobs to write.
        jobs_only: leave out the key ``scrape_configs``, to append to a file that ends with that list.
    """
    # Imported late, since most commands need no YAML.
    import yaml  # noqa: PLC0415

    if not jobs_only:
        yield "scrape_configs:"
    for job in jobs:
        yield from (f"  # {line}" for comment in job.comments for line in textwrap.wrap(comment, 100))
        written = yaml.safe_dump([{"job_name": job.name, **job.settings}], sort_keys=False, width=1000)
        yield from textwrap.indent(written, "  ").splitlines()
