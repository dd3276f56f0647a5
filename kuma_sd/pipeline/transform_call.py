"""Call a transform: check what it returns, and name it in what it raises."""

from collections.abc import Iterable, Mapping
from itertools import islice

from kuma_sd.core.errors import TransformError, failure_reason
from kuma_sd.core.model import Labels, Target
from kuma_sd.plugin.interfaces import Transform

MOST_RESULTS = 1000
"""Maximum number of label sets that a chain may make of one target; an iterator of a transform may never end."""


class UnexpectedTransformError(TransformError):
    """A transform raised what it must not raise, which is its ``__cause__``: a bug, so the log shows a traceback."""


def results_of(transform: Transform, labels: Labels, target: Target, most: int = MOST_RESULTS) -> list[Labels]:
    """Return the label sets that a transform makes of one, at most this many.

    Raises:
        TransformError: a result is no label set, or there are too many.
        Exception: whatever the transform raises.
    """
    results = list(islice(transform(labels, target), most + 1))
    if len(results) > most:
        raise TransformError(f"it makes more than {MOST_RESULTS:,} label sets of one target")
    for result in results:
        try:
            # Joining is the cheapest check that everything is text.
            "".join(result)
            "".join(result.values())
        except (AttributeError, TypeError) as error:
            raise TransformError(_fault_of(result)) from error
    return results


def apply(title: str, transform: Transform, labels: Iterable[Labels], target: Target) -> list[Labels]:
    """Return the label sets that a transform makes of several.

    Args:
        title: its name in errors.
        transform: the transform.
        labels: the label sets.
        target: the target that they belong to.

    Raises:
        TransformError: it fails.
    """
    results: list[Labels] = []
    try:
        for label_set in labels:
            results += results_of(transform, label_set, target, MOST_RESULTS - len(results))
    except TransformError as error:
        error.within(title)
        raise
    except (Exception, SystemExit) as error:
        raise UnexpectedTransformError(f"{title}: {failure_reason(error)}") from error
    return results


def _fault_of(result: object) -> str:
    if not isinstance(result, Mapping):
        return f"it returned {result!r} where a label set is needed"
    name = next((name for name in result if not isinstance(name, str)), None)
    if name is not None:
        return f"the name of label {name!r} is no str"
    name, value = next((name, value) for name, value in result.items() if not isinstance(value, str))
    return f"label {name!r} is {value!r}, which is no str"
