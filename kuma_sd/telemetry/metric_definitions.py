"""Define all metrics of kuma-sd: name, help and value. The number of values of a label never grows with the mesh."""

from typing import Any

from kuma_sd.telemetry.control_plane_status import ControlPlaneStatus
from kuma_sd.telemetry.metric import Metric
from kuma_sd.telemetry.output_status import OutputStatus
from kuma_sd.telemetry.status import HookFailures, Status

PROCESS: tuple[Metric[Status], ...] = (
    Metric("healthy", "Whether all threads make progress, as /-/healthy tells.", lambda status: not status.unhealthy),
    Metric(
        "ready", "Whether every output has published something, as /-/ready tells.", lambda status: not status.unready
    ),
    Metric(
        "config_last_reload_successful",
        "Whether the last reload of the settings succeeded.",
        lambda status: not status.reloads.failing,
    ),
    Metric(
        "config_last_reload_success_timestamp_seconds",
        "When settings were loaded successfully, at the start or by a reload.",
        lambda status: status.reloads.succeeded,
    ),
    Metric("config_reloads_total", "Reloads of the settings, successful or not.", lambda status: status.reloads.count),
    Metric(
        "config_reload_failures_total",
        "Failed reloads; the old settings stayed.",
        lambda status: status.reloads.failures,
    ),
    Metric("pipeline_rounds_total", "How often the pipeline put publications together.", lambda status: status.rounds),
    Metric(
        "pipeline_last_round_duration_seconds",
        "Duration of the last round in which the pipeline put publications together.",
        lambda status: status.round_seconds,
    ),
    Metric("state_saves_total", "Snapshots saved for a restart.", lambda status: status.state.saves),
    Metric("state_save_failures_total", "Failed attempts to save a snapshot.", lambda status: status.state.failures),
    Metric("state_last_save_timestamp_seconds", "When a snapshot was saved last.", lambda status: status.state.saved),
    Metric("state_failing", "Whether snapshots cannot be saved at present.", lambda status: bool(status.state.failing)),
    Metric(
        "events_delivered_total", "Events delivered to the hooks of plugins.", lambda status: status.events.delivered
    ),
    Metric(
        "events_dropped_total",
        "Events that were dropped because a plugin's hook did not keep up.",
        lambda status: status.events.dropped,
    ),
)

HOOK_FAILURES: Metric[HookFailures] = Metric(
    "hook_failures_total", "Calls of a plugin's event hooks that failed.", lambda failures: failures.calls
)
"""It has the label ``plugin``."""

CONTROL_PLANE: tuple[Metric[ControlPlaneStatus], ...] = (
    Metric(
        "control_plane_connected",
        "Whether the control plane is connected.",
        lambda control_plane: control_plane.source.connected,
    ),
    Metric(
        "control_plane_last_contact_timestamp_seconds",
        "When the control plane answered last; the present time while it is connected.",
        lambda control_plane: control_plane.source.last_response,
    ),
    Metric(
        "control_plane_age_seconds",
        "Seconds since the last contact, or since the start without one; 0 while it is connected.",
        lambda control_plane: control_plane.age,
    ),
    Metric(
        "control_plane_last_change_timestamp_seconds",
        "When its targets changed last.",
        lambda control_plane: control_plane.changed,
    ),
    Metric(
        "control_plane_responses_total", "Responses received.", lambda control_plane: control_plane.source.responses
    ),
    Metric(
        "control_plane_received_bytes_total",
        "Bytes received in responses.",
        lambda control_plane: control_plane.source.received,
    ),
    Metric(
        "control_plane_reconnects_total",
        "Connection attempts after the first.",
        lambda control_plane: max(0, control_plane.connection.attempts - 1),
    ),
    Metric(
        "control_plane_parse_errors_total",
        "Assignments and whole responses that could not be read.",
        lambda control_plane: control_plane.source.parse_errors,
    ),
    Metric(
        "control_plane_unreadable_assignments",
        "Assignments of the last response that cannot be read.",
        lambda control_plane: control_plane.connection.unreadable,
    ),
    Metric(
        "control_plane_assignments",
        "Assignments published, including held ones.",
        lambda control_plane: control_plane.assignments,
    ),
    Metric(
        "control_plane_restored",
        "Whether the published assignments are those saved before a restart: the control plane has not answered yet.",
        lambda control_plane: control_plane.restored,
    ),
    Metric(
        "control_plane_expired",
        "Whether its targets were dropped because it was not connected for longer than max-age.",
        lambda control_plane: control_plane.expired,
    ),
    Metric(
        "control_plane_guard_engaged",
        "Whether the guard holds more than a few vanished targets after a reconnect.",
        lambda control_plane: control_plane.guard.suspicious,
    ),
    Metric(
        "control_plane_guard_held_targets",
        "Targets held by the guard.",
        lambda control_plane: control_plane.guard.targets,
    ),
    Metric(
        "control_plane_guard_engagements_total",
        "How often the guard began to hold targets.",
        lambda control_plane: control_plane.guard.engaged,
    ),
)

OUTPUT: tuple[Metric[OutputStatus], ...] = (
    Metric(
        "output_publications_total", "Publications the output published.", lambda output: output.publishing.publications
    ),
    Metric("output_failures_total", "Failed attempts to publish.", lambda output: output.publishing.failures),
    Metric("output_failing", "Whether the last attempt failed.", lambda output: bool(output.publishing.failing)),
    Metric(
        "output_attempt_duration_seconds",
        "Duration of the attempt to publish in progress; 0 without one.",
        lambda output: output.busy,
    ),
    Metric(
        "output_last_success_timestamp_seconds",
        "When the output published last.",
        lambda output: output.publishing.last,
    ),
    Metric(
        "output_groups",
        "Target groups in the last publication; each is one target for Prometheus.",
        lambda output: output.groups,
    ),
    Metric(
        "output_targets",
        "Targets of the mesh in the last publication; a transform may make several groups of one.",
        lambda output: output.size.targets,
    ),
    Metric("output_bytes", "Size of these groups as JSON.", lambda output: output.size.bytes),
    Metric(
        "output_duplicate_groups",
        "Groups left out because an equal one is published.",
        lambda output: output.duplicates,
    ),
    Metric(
        "output_superseded_total",
        "Publications superseded by a newer one before the output took them.",
        lambda output: output.superseded,
    ),
    Metric(
        "output_quarantined_targets",
        "Targets that could not be converted; they keep their last good labels, or are left out.",
        lambda output: output.chain.quarantined,
    ),
    Metric("output_repaired_labels_total", "Label names made valid.", lambda output: output.chain.labels_repaired),
    Metric(
        "output_colliding_labels_total",
        "Labels lost because another has the same name once it is valid.",
        lambda output: output.chain.labels_collided,
    ),
    Metric(
        "output_results_without_address_total",
        "Results of transforms dropped because they have no address.",
        lambda output: output.chain.without_address,
    ),
)

BUILD_INFO: Metric[Status] = Metric("build_info", "Which version of kuma-sd runs, on which Python.", lambda _status: 1)

CONTROL_PLANE_INFO: Metric[ControlPlaneStatus] = Metric(
    "control_plane_info",
    "The protocol of the present or last connection.",
    lambda control_plane: 1 if control_plane.source.protocol else None,
)

LATENCY: Metric[OutputStatus] = Metric(
    "output_latency_seconds",
    "Time from receiving a response to having published it.",
    lambda output: output.publishing.seconds.total,
)

ALL: tuple[Metric[Any], ...] = (
    BUILD_INFO,
    *PROCESS,
    HOOK_FAILURES,
    CONTROL_PLANE_INFO,
    *CONTROL_PLANE,
    *OUTPUT,
    LATENCY,
)
