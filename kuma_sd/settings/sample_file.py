"""Generate the sample settings file: all options of kuma-sd, commented out, with help and default."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kuma_sd.core.options import Option, options_of
from kuma_sd.plugin.catalogue import Available
from kuma_sd.plugin.interfaces import SourcePlugin
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.config_file import write_entry
from kuma_sd.settings.schema import CORE, WEB, CoreOptions, WebOptions, options_for_outputs

DISTRIBUTION = "kuma-sd"

_HEAD = """\
# All settings of kuma-sd with their defaults, commented out, as `kuma-sd config --defaults` prints them.
# To use this file: kuma-sd run -c /etc/kuma-sd.conf
#
# A comment stands on a line of its own. Separate the items of a list with spaces, or put them on indented lines.
# Each option is also a variable and, except for secrets and 'header', a flag: 'path' under [file_sd] is
# KUMA_SD_FILE_SD_PATH and --file-sd-path; options under [kuma-sd] have no section in theirs. The options of a plugin
# exist only if the settings use it. Flags override variables, variables override this file.
# 'kuma-sd config' shows what is in effect and where it was set. 'kuma-sd plugins' lists what else is installed.
"""


_OF_CONTROL_PLANES = "Options of control planes: here for all of them, under [NAME] for the one of that name."
_OF_OTHERS = "Only if the address of a control plane begins with {}:"
_OF_WEB = "Where the daemon answers over HTTP."
_OF_OUTPUTS = "For this output, these override what stands under [kuma-sd]."


def sample(plugins: Plugins) -> str:
    """Return the sample file.

    Raises:
        PluginError: a bundled plugin is broken.
    """
    builtin, sources = builtin_plugins(plugins)
    lines = [_HEAD, f"[{CORE}]", *_entries(options_of(CoreOptions))]
    lines += _entries_of_sources(sources)
    lines += ["", "", *_comment(_OF_WEB), f"[{WEB}]", *_entries(options_of(WebOptions))]
    for builtin_plugin in builtin:
        if builtin_plugin.kind == "transform":
            lines += [
                *_heading("transform", builtin_plugin.name),
                *_entries(options_of(plugins.transform(builtin_plugin.name).options)),
            ]
        if builtin_plugin.kind == "output":
            lines += [
                *_heading("output", builtin_plugin.name),
                *_entries(options_of(plugins.output(builtin_plugin.name).options)),
            ]
            lines += ["", *_comment(_OF_OUTPUTS), *_entries(options_for_outputs(), explained=False)]
    return "\n".join(lines) + "\n"


def builtin_plugins(plugins: Plugins) -> tuple[list[Available], dict[SourcePlugin, list[str]]]:
    """Return the plugins of kuma-sd's own distribution, and the sources among them with their URL schemes.

    Raises:
        PluginError: a bundled plugin is broken.
    """
    builtin = [available for available in plugins.available() if available.distribution == DISTRIBUTION]
    schemes: dict[SourcePlugin, list[str]] = {}
    for available in builtin:
        if available.kind == "source":
            schemes.setdefault(plugins.source(available.name), []).append(available.name)
    return builtin, schemes


def _entries_of_sources(sources: Mapping[SourcePlugin, Sequence[str]]) -> Iterator[str]:
    """Yield the options of the default source, and the additional options of others."""
    scheme = CoreOptions().cp_address[0].url.scheme
    default = next(source for source, schemes in sources.items() if scheme in schemes)
    listed = {option.name for option in options_of(default.options)}
    yield from ("", *_comment(_OF_CONTROL_PLANES), *_entries(options_of(default.options)))
    for source, schemes in sources.items():
        own = [option for option in options_of(source.options) if option.name not in listed]
        if own:
            addresses = " or ".join(f"{name}://" for name in schemes)
            yield from ("", *_comment(_OF_OTHERS.format(addresses)), *_entries(own))
            listed.update(option.name for option in own)


def _heading(kind: str, name: str) -> Iterator[str]:
    yield from ("", "")
    yield from _comment(f"The {kind} '{name}'. If it is listed as NAME={name}, its options stand under [NAME].")
    yield f"[{name}]"


def _entries(options: Iterable[Option], *, explained: bool = True) -> Iterator[str]:
    for option in options:
        if explained:
            yield ""
            yield from _comment(f"{option.help} ({option.type.name})")
        yield f"#{write_entry(option.name, option.show(option.default))}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, 110, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
