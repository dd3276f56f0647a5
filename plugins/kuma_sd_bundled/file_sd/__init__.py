"""The output for Prometheus's ``file_sd_configs``: files of JSON or YAML, one, or one for each shard or part."""

from collections.abc import Iterable

from kuma_sd import Context, OutputPlugin, hookimpl
from kuma_sd_bundled.file_sd.options import FileSDOptions
from kuma_sd_bundled.file_sd.output import FileSD

__all__ = ["FileSD", "FileSDOptions", "kuma_sd_outputs"]


@hookimpl
def kuma_sd_outputs() -> Iterable[OutputPlugin]:
    """Describe file_sd."""
    yield OutputPlugin("file_sd", open=_open, options=FileSDOptions)


def _open(options: FileSDOptions, context: Context) -> FileSD:
    output = FileSD(options)
    context.report(output.facts)
    context.on_accept(output.accept)
    return output
