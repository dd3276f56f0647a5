"""Reject outputs that would replace a directory, a file of another output, or a file that the settings name."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.option_types import FileContent
from kuma_sd.core.options import options_of
from kuma_sd.core.publication import Publication
from kuma_sd.plugin.interfaces import Output
from kuma_sd.plugin.optional_interfaces import WritesFiles
from kuma_sd.settings.model import Settings
from kuma_sd.settings.schema import CORE, WEB
from kuma_sd.system.directories import real_path


def check_files(outputs: Mapping[str, Output], settings: Settings) -> None:
    """Reject an output whose file is in use, or a directory; symbolic links are followed.

    Args:
        outputs: the outputs, by name.
        settings: the settings.

    Raises:
        ConfigError: two outputs write the same file, or one writes a file that is read, or a directory is there.
    """
    read = {real_path(path): use for path, use in _read_files(settings)}
    owners, mistakes = dict[str, str](), list[str]()
    for name, output in outputs.items():
        for path in output.files(Publication((), 0.0)) if isinstance(output, WritesFiles) else ():
            real, place = real_path(path), settings.at(name, "path")
            owner = owners.setdefault(real, name)
            if real in read:
                mistakes.append(
                    f"{place}output {name} would overwrite {str(path)!r}, {read[real]}; give it another path"
                )
            elif os.path.isdir(real):  # noqa: PTH112 (is_dir() raises where this user may not look)
                mistakes.append(f"{place}output {name}: {str(path)!r} is a directory; name a file in it")
            elif owner != name:
                mistakes.append(f"{place}outputs {owner} and {name} both write {str(path)!r}; give one another path")
    if mistakes:
        raise ConfigError(*mistakes)


def _read_files(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield each file that is read, and what for."""
    if settings.file:
        yield Path(settings.file), "the settings file"
    yield from ((path, "a file of the web configuration") for path in _web_files(settings.web.config_file))
    for section, options in _sections(settings):
        for option in options_of(type(options)):
            value = getattr(options, option.field)
            for item in value if isinstance(value, tuple) else (value,):
                path = item.path if isinstance(item, FileContent) else item if option.type.reads_file else None
                if path:
                    yield Path(path), f"the file of '{option.name}' in [{section}]"


def _web_files(path: Path | None) -> list[Path]:
    """Return the web configuration and the files that it names, as far as it can be read."""
    if not path:
        return []
    # Imported late: most installations have no web configuration, and TLS takes long to load.
    from kuma_sd.web.server.web_config import Reading  # noqa: PLC0415

    reading = Reading(path)
    # A mistake in it is reported by who uses it.
    with contextlib.suppress(ConfigError):
        reading.config()
    return reading.files


def _sections(settings: Settings) -> Iterable[tuple[str, object]]:
    yield CORE, settings.core
    yield WEB, settings.web
    yield from ((control_plane.name or CORE, control_plane.options) for control_plane in settings.control_planes)
    for output in settings.outputs:
        yield output.name, output.options
        yield from ((transform.name, transform.options) for transform in output.transforms)
