"""The pages that follow from the code: every option, every command. conf.py writes them before Sphinx reads."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from kuma_sd.cli.main import COMMANDS
from kuma_sd.core.options import Option, options_of
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.sample_file import builtin_plugins
from kuma_sd.settings.schema import CORE, WEB, CoreOptions, WebOptions, options_for_outputs

FOLDER = Path(__file__).parent / "reference"

OPTIONS = """\
# Every option

Generated from the declarations. Each option is the same thing in the file, as an environment variable and as a flag; a
flag beats the variable, which beats the file. `kuma-sd config` shows what is in effect and where it was set.

| in the file | in the environment | on the command line |
|---|---|---|
| `min-interval = 2s` under `[kuma-sd]` | `KUMA_SD_MIN_INTERVAL=2s` | `--min-interval=2s` |
| `path = x.json` under `[file_sd]` | `KUMA_SD_FILE_SD_PATH=x.json` | `--file-sd-path=x.json` |

An instance that is listed as `NAME=PLUGIN` has its options under `[NAME]`. Secrets have no flag, for command lines can
be read by others.
"""

COMMANDS_HEAD = """\
# Every command

Generated: what `kuma-sd COMMAND --help` prints. The flags of settings, which most commands take, are on
[a page of their own](options.md).
"""


def options_page() -> Iterator[str]:
    """Yield the lines of the page of options."""
    plugins = Plugins()
    builtin, sources = builtin_plugins(plugins)
    yield OPTIONS
    yield from _table(f"`[{CORE}]`", "Of the daemon itself.", options_of(CoreOptions))
    for source, names in sources.items():
        schemes = ", ".join(f"`{name}:`" for name in names)
        text = f"For addresses with {schemes}: under `[{CORE}]` for all control planes, under `[NAME]` for one."
        yield from _table(f"Source `{names[0]}`", text, options_of(source.options))
    yield from _table(f"`[{WEB}]`", "Where the daemon answers over HTTP.", options_of(WebOptions))
    for builtin_plugin in builtin:
        if builtin_plugin.kind == "transform":
            yield from _table(
                f"Transform `{builtin_plugin.name}`", "", options_of(plugins.transform(builtin_plugin.name).options)
            )
        if builtin_plugin.kind == "output":
            yield from _table(
                f"Output `{builtin_plugin.name}`", "", options_of(plugins.output(builtin_plugin.name).options)
            )
    text = "Each output may have these in its section; they replace what stands under `[kuma-sd]` there."
    yield from _table("Any output", text, options_for_outputs())


def _table(heading: str, text: str, options: Iterable[Option]) -> Iterator[str]:
    rows = [_row(option) for option in options]
    yield f"## {heading}\n"
    if text:
        yield f"{text}\n"
    if not rows:
        yield "It has no options.\n"
        return
    yield "| option | type | default | |\n|---|---|---|---|"
    yield from rows
    yield ""


def _row(option: Option) -> str:
    default = option.show(option.default)
    cells = [f"`{option.name}`", option.type.name, f"`{default}`" if default else "", option.help]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def commands_page() -> Iterator[str]:
    """Yield the lines of the page of commands."""
    yield COMMANDS_HEAD
    for command, summary in COMMANDS.items():
        yield f"## kuma-sd {command}\n\n{summary[:1].upper()}{summary[1:]}.\n\n```text\n{_help(command)}\n```\n"


def _help(command: str) -> str:
    """Return a command's help without the flags of settings, which have a page of their own."""
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "100", "NO_COLOR": "1"}
    printed = subprocess.run(
        [sys.executable, "-m", "kuma_sd", command, "--help"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return printed.partition("\nsettings:\n")[0].rstrip()


def write() -> None:
    """Write both, each only if it differs, so that nothing is built again for nothing."""
    FOLDER.mkdir(exist_ok=True)
    for name, lines in {"options.md": options_page(), "commands.md": commands_page()}.items():
        page, text = FOLDER / name, "\n".join(lines)
        if not page.exists() or page.read_text() != text:
            page.write_text(text)
