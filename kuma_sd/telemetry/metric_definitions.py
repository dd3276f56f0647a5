"""Which metrics there are, what each is, and where it comes from. No label of theirs grows with the mesh."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kuma_sd.telemetry.status import ControlPlaneStatus, OutputStatus, Status

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Metric(Generic[T]):
    """A metric of something.

    Args:
        name: without the prefix that all have; that of a counter ends in ``_total``.
        help: what it is.
        value: returns it; None when there is none yet.
    """

    name: str
    help: str
    value: Callable[[T], float | None]

    @property
    def full_name(self) -> str:
        """Its name as it is scraped."""
        return f"kuma_sd_{self.name}"


PROCESS: tuple[Metric[Status], ...] = (
    Metric("healthy", "Whether all threads move, so that /-/healthy says so.", lambda one: not one.unhealthy),
    Metric(
        "ready", "Whether every output has published something, so that /-/ready says so.", lambda one: not one.unready
    ),
    Metric(
        "config_last_reload_successful",
        "Whether the settings were taken when they were read last.",
        lambda one: not one.reloads.failing,
    ),
    Metric(
        "config_last_reload_success_timestamp_seconds",
        "When settings were taken last, at the start or by a reload.",
        lambda one: one.reloads.succeeded,
    ),
    Metric(
        "config_reloads_total",
        "How often the settings were read again, with or without success.",
        lambda one: one.reloads.count,
    ),
    Metric(
        "config_reload_failures_total",
        "How often that failed, so that the old settings stayed.",
        lambda one: one.reloads.failures,
    ),
    Metric("pipeline_rounds_total", "How often publications were put together.", lambda one: one.rounds),
    Metric("pipeline_last_round_duration_seconds", "How long it took the last time.", lambda one: one.round_seconds),
    Metric("state_saves_total", "How many snapshots were saved for a restart.", lambda one: one.state.saves),
    Metric("state_save_failures_total", "How many attempts to save one failed.", lambda one: one.state.failures),
    Metric("state_last_save_timestamp_seconds", "When one was saved last.", lambda one: one.state.saved),
    Metric("state_failing", "Whether saving fails, or is not possible.", lambda one: bool(one.state.failing)),
)

CONTROL_PLANE: tuple[Metric[ControlPlaneStatus], ...] = (
    Metric("control_plane_connected", "Whether the control plane is heard now.", lambda one: one.connected),
    Metric(
        "control_plane_last_contact_timestamp_seconds",
        "When it was heard last; now, while it is connected.",
        lambda one: one.heard,
    ),
    Metric(
        "control_plane_age_seconds",
        "How long ago it was heard, or since the start if it never was; 0 while it is connected.",
        lambda one: one.age,
    ),
    Metric("control_plane_last_change_timestamp_seconds", "When its targets changed last.", lambda one: one.changed),
    Metric("control_plane_responses_total", "How many answers came from it.", lambda one: one.responses),
    Metric("control_plane_received_bytes_total", "How many bytes they had.", lambda one: one.received),
    Metric(
        "control_plane_reconnects_total",
        "How many connections were tried after the first.",
        lambda one: max(0, one.attempts - 1),
    ),
    Metric(
        "control_plane_parse_errors_total",
        "How many assignments, or whole answers, could not be understood.",
        lambda one: one.parse_errors,
    ),
    Metric(
        "control_plane_unparsed_assignments",
        "How many assignments of its last answer cannot be understood.",
        lambda one: one.unparsed,
    ),
    Metric(
        "control_plane_assignments",
        "How many assignments are published of it, those that the guard holds included.",
        lambda one: one.assignments,
    ),
    Metric(
        "control_plane_restored",
        "Whether these are from before a restart, since it has not answered yet.",
        lambda one: one.restored,
    ),
    Metric(
        "control_plane_expired",
        "Whether it was not heard for longer than max-age, so that its targets are gone.",
        lambda one: one.expired,
    ),
    Metric(
        "control_plane_guard_engaged",
        "Whether the guard holds targets that vanished.",
        lambda one: one.guard.targets > 0,
    ),
    Metric("control_plane_guard_held_targets", "How many targets it holds.", lambda one: one.guard.targets),
    Metric("control_plane_guard_engagements_total", "How often it began to hold some.", lambda one: one.guard.engaged),
)

OUTPUT: tuple[Metric[OutputStatus], ...] = (
    Metric("output_publications_total", "How many publications the output published.", lambda one: one.publications),
    Metric("output_failures_total", "How many attempts to publish failed.", lambda one: one.failures),
    Metric("output_failing", "Whether the last attempt failed.", lambda one: bool(one.failing)),
    Metric(
        "output_attempt_duration_seconds",
        "How long the attempt under way takes so far; 0 when there is none.",
        lambda one: one.busy,
    ),
    Metric("output_last_success_timestamp_seconds", "When it published last.", lambda one: one.published),
    Metric(
        "output_groups",
        "How many target groups its last publication has; each is one target for Prometheus.",
        lambda one: one.groups,
    ),
    Metric(
        "output_targets",
        "How many targets of the mesh these stand for; transforms may make several groups of one.",
        lambda one: one.targets,
    ),
    Metric("output_bytes", "How large these groups are as JSON.", lambda one: one.bytes),
    Metric(
        "output_duplicate_groups",
        "How many groups were left out of it because an equal one is in.",
        lambda one: one.duplicates,
    ),
    Metric(
        "output_superseded_total", "How many publications were passed over for newer ones.", lambda one: one.superseded
    ),
    Metric(
        "output_quarantined_targets",
        "How many targets could not be converted; they keep their last good labels, or are left out.",
        lambda one: one.quarantined,
    ),
    Metric("output_repaired_labels_total", "How many label names were made valid.", lambda one: one.labels_repaired),
    Metric(
        "output_colliding_labels_total",
        "How many labels were lost because another has the same name once it is valid.",
        lambda one: one.labels_collided,
    ),
    Metric(
        "output_results_without_address_total",
        "How many results of transforms were dropped because they have no address.",
        lambda one: one.without_address,
    ),
)

BUILD_INFO: Metric[Status] = Metric("build_info", "Which version of kuma-sd runs, on which Python.", lambda _status: 1)

CONTROL_PLANE_INFO: Metric[ControlPlaneStatus] = Metric(
    "control_plane_info", "What is spoken with the control plane, or was last.", lambda one: 1 if one.protocol else None
)

LATENCY: Metric[OutputStatus] = Metric(
    "output_latency_seconds",
    "How long it took from receiving a response to having published it.",
    lambda one: one.seconds.total,
)

ALL: tuple[Metric[Any], ...] = (BUILD_INFO, *PROCESS, CONTROL_PLANE_INFO, *CONTROL_PLANE, *OUTPUT, LATENCY)
