"""Let outputs with the same label profile and transforms share one chain, so that each target is converted once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.label_limits import LabelLimits
from kuma_sd.plugin.hook_implementations import TRANSFORM, HookTransform
from kuma_sd.plugin.interfaces import Transform
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.settings.model import OutputSettings, Settings, TransformSettings


class ChainKey(NamedTuple):
    """What a chain does; outputs with an equal key share one.

    Args:
        label_profile: the name of the label profile.
        transforms: the transforms, in order.
    """

    label_profile: str
    transforms: tuple[TransformSettings, ...]

    @classmethod
    def of(cls, output: OutputSettings) -> "ChainKey":
        """Return the key of an output's chain."""
        return cls(output.label_profile, output.transforms)


def shared_chains(
    settings: Settings,
    transforms: Mapping[str, Transform],
    hooks: Sequence[HookTransform],
    running: Iterable[tuple[ChainKey, Chain]],
) -> tuple[tuple[ChainKey, Chain], ...]:
    """Return the chains that the outputs need. A running one that does the same is kept.

    Args:
        settings: the settings.
        transforms: the opened transforms, by instance name.
        hooks: the steps that plugins' hooks add to every chain.
        running: the chains of the settings before.
    """
    limits = LabelLimits(settings.core.max_labels, settings.core.max_label_value_length)
    existing = list(running)

    def chain(key: ChainKey) -> Chain:
        steps: list[Transform] = [*(transforms[transform.name] for transform in key.transforms), *hooks]
        for other, kept in existing:
            if (other, kept.limits, kept.transforms) == (key, limits, steps):
                return kept
        titles = [_titled(transform.name, transform.plugin_name) for transform in key.transforms]
        titles += [_titled(hook.name, TRANSFORM) for hook in hooks]
        return Chain(LabelProfile(key.label_profile), steps, limits, titles)

    return tuple((key, chain(key)) for key in dict.fromkeys(map(ChainKey.of, settings.outputs)))


def _titled(name: str, plugin: str) -> str:
    return name if name == plugin else f"{name} ({plugin})"
