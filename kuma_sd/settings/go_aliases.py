"""Option names of the Go program kuma-prometheus-sd, in all its releases."""

FLAGS = {("file_sd", "path"): "--output-file"}
"""Additional flags of options, by section and name. --cp-address, --name, --api-version, --log-level are the same."""

VARIABLES = {
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL": "KUMA_SD_CP_ADDRESS",
    "KUMA_CONTROL_PLANE_API_SERVER_URL": "KUMA_SD_CP_ADDRESS",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME": "KUMA_SD_NAME",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION": "KUMA_SD_API_VERSION",
    "KUMA_PROMETHEUS_OUTPUT_FILE": "KUMA_SD_FILE_SD_PATH",
}
"""Its variables and the kuma-sd variables that override them; of two for one option the first has precedence."""
