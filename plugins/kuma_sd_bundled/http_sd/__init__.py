"""The output for Prometheus's ``http_sd_configs``: the list of targets at a path of the daemon's listeners."""

from dataclasses import dataclass

from kuma_sd import TEXT, Context, OutputPlugin, hookimpl, option
from kuma_sd_bundled.http_sd.output import HTTPSD


@dataclass(frozen=True)
class HTTPSDOptions:
    """The options of ``http_sd``."""

    path: str = option("/sd", TEXT, "Path of the list, at each listen-address in [web].")


@hookimpl
def kuma_sd_output_plugin() -> OutputPlugin:
    """Describe http_sd."""
    return OutputPlugin(open=_open, options=HTTPSDOptions)


def _open(options: HTTPSDOptions, context: Context) -> HTTPSD:
    output = HTTPSD(options.path)
    context.serve(options.path, output)
    context.report(lambda: {"path": options.path})
    return output
