"""The output for Prometheus's ``file_sd_configs``: files of JSON or YAML, one, or one for each shard or part."""

from kuma_sd import Context, OutputPlugin, hookimpl
from kuma_sd_bundled.file_sd.options import FileSDOptions
from kuma_sd_bundled.file_sd.output import FileSD

__all__ = ["FileSD", "FileSDOptions", "kuma_sd_output_plugin"]


@hookimpl
def kuma_sd_output_plugin() -> OutputPlugin:
    """Describe file_sd."""
    return OutputPlugin(open=_open, options=FileSDOptions)


def _open(options: FileSDOptions, context: Context) -> FileSD:
    output = FileSD(options)
    context.report(output.facts)
    context.on_accept(output.accept)
    return output
