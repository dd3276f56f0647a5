"""The names by which the Go program kuma-prometheus-sd calls options, in every release it had."""

FLAGS = {("file_sd", "path"): "--output-file"}
"""Further flags of options, by section and name. Its --cp-address, --name, --api-version and --log-level are ours."""

VARIABLES = {
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL": "KUMA_SD_CP_ADDRESS",
    "KUMA_CONTROL_PLANE_API_SERVER_URL": "KUMA_SD_CP_ADDRESS",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME": "KUMA_SD_NAME",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION": "KUMA_SD_API_VERSION",
    "KUMA_PROMETHEUS_OUTPUT_FILE": "KUMA_SD_FILE_SD_PATH",
}
"""Its environment variables and ours, which beat them; of two for one option the first counts."""
