"""Choose the format of a file: JSON or YAML."""

from pathlib import Path

from kuma_sd import Chunks, ConfigError, json_chunks, yaml_chunks

_FORMATS = {"json": json_chunks, "yaml": yaml_chunks, ".json": json_chunks, ".yml": yaml_chunks, ".yaml": yaml_chunks}


def chunks_of(path: Path, format_: str) -> Chunks:
    """Return what makes the content of a file.

    Args:
        path: the file.
        format_: ``json``, ``yaml``, or ``auto`` to follow its extension.

    Raises:
        ConfigError: the extension says nothing, or makes Prometheus read another format.
    """
    if format_ == "yaml" and path.suffix.lower() == ".json":
        raise ConfigError(
            f"Prometheus reads {str(path)!r} as JSON; end the name in .yml, or unset format", option="path"
        )
    name = path.suffix.lower() if format_ == "auto" else format_
    if name not in _FORMATS:
        raise ConfigError(
            f"the name {str(path)!r} shows no format; end it in .json, .yml or .yaml, or set format", option="path"
        )
    return _FORMATS[name]
