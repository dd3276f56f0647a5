"""Warn about settings that are valid but probably a mistake, for `kuma-sd check` and the log."""

from collections.abc import Iterable, Iterator

from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Labels, Target
from kuma_sd.plugin.interfaces import Transform
from kuma_sd.plugin.optional_interfaces import GivesWarnings, ReadsLabels
from kuma_sd.prometheus.label_profiles import PROFILES
from kuma_sd.runtime.builder import Components

_log = Logger(__name__)

_META = "__meta_kuma_"
_ANY = Target("control plane", "mesh", "service", "name", "address", "scheme", "path", {"tag": "value"})


def warn(components: Components) -> None:
    """Log warnings about probable mistakes in settings."""
    for warning in advice(components):
        _log.warning(warning)


def advice(components: Components) -> Iterator[str]:
    """Yield a sentence for each probable mistake in settings."""
    yield from _missing_labels(components)
    for named, output in components.outputs.values():
        if isinstance(output, GivesWarnings):
            yield from (f"output {named.name}: {sentence}" for sentence in output.warnings())


def _missing_labels(components: Components) -> Iterator[str]:
    """Yield a sentence for each transform that reads labels missing in its output's label profile."""
    for key, _ in components.chains:
        label_profile, transforms = key
        labels: Labels = PROFILES[label_profile](_ANY)
        if any(name.startswith(_META) for name in labels):
            continue
        outputs = ", ".join(output.name for output in components.outputs_of(key))
        for named, transform in (components.transforms[transform.name] for transform in transforms):
            missing = sorted(name for name in _reads(transform) if name.startswith(_META))
            if missing:
                yield (
                    f"output {outputs}: transform {named.name} reads {', '.join(missing)}, which targets do not have "
                    f"with label-profile = {label_profile}; set label-profile = both"
                )


def _reads(transform: Transform) -> Iterable[str]:
    return transform.reads if isinstance(transform, ReadsLabels) else ()
