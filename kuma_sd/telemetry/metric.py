"""Metrics as definitions, and their present values for prometheus_client. Plugins define theirs in the same way."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

T = TypeVar("T")

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric(Generic[T]):
    """The definition of a metric.

    Args:
        name: its name without the prefix ``kuma_sd_``; the name of a counter ends in ``_total``.
        help: its help text.
        value: returns its value; None if there is none yet.
    """

    name: str
    help: str
    value: Callable[[T], float | None]

    @property
    def full_name(self) -> str:
        """The name with the prefix, as it is scraped."""
        return f"kuma_sd_{self.name}"

    def family(self, owners: Iterable[tuple[Labels, T]]) -> "Family":
        """Return the present values.

        Args:
            owners: what has a value, each with the labels of its sample.
        """
        # Imported late: whoever asks for metrics has already loaded it.
        from prometheus_client import Metric as Family  # noqa: PLC0415

        kind = "counter" if self.name.endswith("_total") else "gauge"
        family = Family(self.full_name.removesuffix("_total"), self.help, kind)
        for labels, owner in owners:
            value = self.value(owner)
            if value is not None:
                family.add_sample(self.full_name, dict(labels), float(value))
        return family


class Meters(Generic[T]):
    """Collects the metrics of one instance of a plugin, for `Context.register`.

    Args:
        metrics: their definitions.
        labels: what tells this instance from others.
        read: returns the present state, from which the values are taken; called in any thread.
    """

    def __init__(self, metrics: Sequence[Metric[T]], labels: Labels, read: Callable[[], T]) -> None:
        self._metrics = metrics
        self._labels = labels
        self._read = read

    def collect(self) -> Iterator["Family"]:
        """Yield the metrics that have a value."""
        owners = [(self._labels, self._read())]
        yield from filter(_has_samples, (metric.family(owners) for metric in self._metrics))


def _has_samples(family: "Family") -> bool:
    return bool(family.samples)
