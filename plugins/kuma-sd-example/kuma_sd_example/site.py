"""The transform ``site``: adds a label that says where this kuma-sd runs."""

from collections.abc import Iterable
from dataclasses import dataclass

from kuma_sd import REQUIRED, TEXT, Context, Labels, Target, Transform, TransformPlugin, hookimpl, option


@dataclass(frozen=True)
class SiteOptions:
    """Which label to add."""

    name: str = option(REQUIRED, TEXT, "The name of the site, which becomes the value of the label site.")


def open_site(options: SiteOptions, _context: Context) -> Transform:
    """Make the transform."""

    def add_site(labels: Labels, _target: Target) -> Iterable[Labels]:
        # A new label set: what comes in belongs to others.
        return [labels | {"site": options.name}]

    return add_site


SITE = TransformPlugin(open=open_site, options=SiteOptions)


@hookimpl
def kuma_sd_transform_plugin() -> TransformPlugin:
    """Describe what this module offers."""
    return SITE
