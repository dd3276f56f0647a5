"""Log which targets are quarantined, and why: one line for each kind of error, since all may fail at once."""

from collections.abc import Mapping

from kuma_sd.core.errors import TransformError, failure_reason
from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Key
from kuma_sd.pipeline.transform_call import UnexpectedTransformError

_log = Logger(__name__)

MOST_NAMED = 3
"""Maximum number of quarantined targets that are named in a log line."""


def log_quarantined(failures: Mapping[Key, BaseException]) -> None:
    """Log the failures of targets that were not quarantined before."""
    for kind in {_kind(error): None for error in failures.values()}:
        _log_kind({key: error for key, error in failures.items() if _kind(error) is kind})


def _log_kind(failures: Mapping[Key, BaseException]) -> None:
    named = sorted(failures)[:MOST_NAMED]
    first = failures[named[0]]
    _log.error(
        "targets are quarantined: they keep their last good labels, or are left out if they have none",
        error=_bug(first),
        targets=len(failures),
        names=" ".join(f"{key.mesh}/{key.name}" for key in named),
        reason=failure_reason(first),
    )


def _bug(failure: BaseException) -> BaseException | None:
    """Return the unexpected exception behind a failure; None if the failure was expected."""
    if isinstance(failure, UnexpectedTransformError):
        return failure.__cause__
    return None if isinstance(failure, TransformError) else failure


def _kind(failure: BaseException) -> type:
    return type(_bug(failure) or failure)
