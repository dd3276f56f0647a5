"""Label profiles: convert a target's facts and labels to the labels that Prometheus sees."""

from collections.abc import Callable

from kuma_sd.core.model import Labels, Target
from kuma_sd.prometheus.label_names import are_valid, repair_names


def kuma_prometheus_sd(target: Target) -> Labels:
    """Return the labels that the Go program wrote for MADS v1, before names are made valid."""
    facts = {
        "__address__": target.address,
        "__metrics_path__": target.metrics_path,
        "__scheme__": target.scheme,
        "dataplane": target.name,
        "instance": target.name,
        "job": target.job or target.service,
        "mesh": target.mesh,
        "service": target.service,
    }
    return _overlay(target.labels, facts, _named("control_plane", target))


def kuma_sd_configs(target: Target) -> Labels:
    """Return the labels that Prometheus's own ``kuma_sd_configs`` discovers."""
    facts = {
        "__address__": target.address,
        "__metrics_path__": target.metrics_path,
        "__scheme__": target.scheme,
        "__meta_kuma_dataplane": target.name,
        "__meta_kuma_mesh": target.mesh,
        "__meta_kuma_service": target.service,
        "instance": target.name,
    }
    tags = {f"__meta_kuma_label_{name}": value for name, value in target.labels.items()}
    return _overlay(tags, facts, _named("__meta_kuma_control_plane", target))


def both(target: Target) -> Labels:
    """Return the union of both profiles' labels; labels in both have equal values."""
    return kuma_prometheus_sd(target) | kuma_sd_configs(target)


PROFILES: dict[str, Callable[[Target], Labels]] = {
    "kuma-prometheus-sd": kuma_prometheus_sd,
    "kuma_sd_configs": kuma_sd_configs,
    "both": both,
}


_CONTROL_PLANE = {
    "kuma-prometheus-sd": ("control_plane",),
    "kuma_sd_configs": ("__meta_kuma_control_plane",),
    "both": ("control_plane", "__meta_kuma_control_plane"),
}
"""The labels in which the profiles name the control plane."""


class LabelProfile:
    """Computes the labels of targets in a profile, with valid names, and counts repairs.

    Args:
        name: one of PROFILES.
    """

    def __init__(self, name: str) -> None:
        self._labels = PROFILES[name]
        self.name = name
        self.repaired = 0
        self.collided = 0

    def __call__(self, target: Target) -> Labels:
        """Return the labels of a target."""
        return self.made_valid(self._labels(target))

    def renamed(self, labels: Labels, before: str, name: str) -> Labels:
        """Return published labels under another name of the control plane.

        Args:
            labels: the labels, in any profile; labels that a transform changed stay.
            before: the name under which they were published; empty for a control plane without a name.
            name: its name now.
        """
        if before:
            changed = [label for label in _CONTROL_PLANE["both"] if labels.get(label) == before]
        else:
            changed = [label for label in _CONTROL_PLANE[self.name] if label not in labels]
        return labels | dict.fromkeys(changed, name)

    def made_valid(self, labels: Labels) -> Labels:
        """Make label names valid: Prometheus would refuse the whole file for one invalid name."""
        if are_valid(tuple(labels)):
            return labels
        present = {name: value for name, value in labels.items() if value}
        repair = repair_names(tuple(present))
        self.repaired += repair.repaired
        self.collided += repair.collided
        return {valid: present[name] for valid, name in repair.names}


def _named(label: str, target: Target) -> Labels:
    return {label: target.control_plane} if target.control_plane else {}


def _overlay(labels: Labels, facts: Labels, control_plane: Labels) -> Labels:
    """Merge labels: facts override labels, labels override the control plane's; empty values are skipped."""
    merged = control_plane | labels | facts if control_plane else labels | facts
    if all(merged.values()):
        return merged
    present = [{name: value for name, value in layer.items() if value} for layer in (control_plane, labels, facts)]
    return present[0] | present[1] | present[2]
