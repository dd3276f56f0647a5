"""Differences between releases of Kuma."""

import re
from dataclasses import dataclass

from kuma_sd_bundled.kuma_api.documents import Index

# Bounded, since int() refuses thousands of digits.
_VERSION = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})\b")

_CLIENTS_SHARE = ((2, 5), (2, 7))
"""From and before which version a client also gets the backends that name no client."""


@dataclass(frozen=True)
class KumaRelease:
    """A version of Kuma, as far as it is known.

    Args:
        number: major and minor version; None for a build from source, which does not report it.
        third: whether it is Kuma 3 or later; None if not known.
    """

    number: tuple[int, int] | None = None
    third: bool | None = None

    def clients_share(self, *, bare_matches: bool) -> bool:
        """Tell whether a client also gets the backends that name no client.

        Args:
            bare_matches: whether matched dataplanes are listed without their labels, as Kuma 2.6 does.
        """
        if self.number is None:
            return bare_matches and self.third is not True
        since, before = _CLIENTS_SHARE
        return since <= self.number < before


UNKNOWN = KumaRelease()


def release_of(index: Index) -> KumaRelease:
    """Return what ``GET /`` says. Where it does not say a version, Kuma 2 has a tagline and Kuma 3 has none."""
    found = _VERSION.match(index.based_on_kuma) or _VERSION.match(index.version)
    # Builds between releases report the version 0.0.0-preview.
    if found and int(found[1]):
        return KumaRelease((int(found[1]), int(found[2])), third=int(found[1]) >= 3)  # noqa: PLR2004 (the major version)
    return KumaRelease(None, third=index.tagline is None)
