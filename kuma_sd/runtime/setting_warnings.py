"""What settings may say and hardly mean: warnings, for `kuma-sd check` and for the log."""

import logging
from collections.abc import Iterator

from kuma_sd.core.model import Labels, Target
from kuma_sd.plugin.interfaces import GivesAdvice
from kuma_sd.prometheus.label_profiles import PROFILES
from kuma_sd.runtime.builder import Components

_log = logging.getLogger(__name__)

_META = "__meta_kuma_"
_ANY = Target("control plane", "mesh", "service", "name", "address", "scheme", "path", {"tag": "value"})


def warn(components: Components) -> None:
    """Log what settings may not mean."""
    for warning in advice(components):
        _log.warning("%s", warning)


def advice(components: Components) -> Iterator[str]:
    """Yield a sentence for whatever settings hardly mean."""
    yield from _missing_labels(components)
    for named, output in components.outputs.values():
        if isinstance(output, GivesAdvice):
            yield from (f"output {named.name}: {sentence}" for sentence in output.warnings())


def _missing_labels(components: Components) -> Iterator[str]:
    """Yield a sentence for each transform that reads labels which its output's label profile does not have.

    Transforms that know which labels they read say so in an attribute ``reads``.
    """
    for path, chain in components.chains:
        label_profile, transforms = path
        labels: Labels = PROFILES[label_profile](_ANY)
        if any(name.startswith(_META) for name in labels):
            continue
        outputs = ", ".join(output.name for output in components.outputs_through(path))
        for named, transform in zip(transforms, chain.transforms, strict=True):
            missing = sorted(name for name in getattr(transform, "reads", ()) if name.startswith(_META))
            if missing:
                yield (
                    f"output {outputs}: transform {named.name} reads {', '.join(missing)}, which targets do not have "
                    f"with label-profile = {label_profile}; set label-profile = both"
                )
