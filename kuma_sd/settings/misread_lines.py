"""Find lines of the settings file that are read in another way than they look: indented options, comments in values."""

import re
from collections.abc import Iterator

from kuma_sd.settings.config_file import ConfigFile
from kuma_sd.settings.schema import Schema

_OPTION = r"\s*([A-Za-z0-9_.-]+)\s*="
# A list item may be NAME=VALUE, but contains no spaces.
_OPTION_IN_LIST = r"\s*([A-Za-z0-9_.-]+)\s+="

# Only outside quotes: a label matcher may contain quoted text.
_COMMENT = r"""(?:"[^"]*"|'[^']*'|[^"'])*?\s([;#])"""


def swallowed_options(file: ConfigFile, schema: Schema) -> Iterator[str]:
    """Yield each line that looks like an option, but is indented and so continues the previous option."""
    lists = {declaration.place for declaration in schema if declaration.option.type.repeated}
    for entry in file.entries:
        pattern = _OPTION_IN_LIST if (entry.section, entry.key) in lists else _OPTION
        for line, text in entry.continued:
            found = re.match(pattern, text)
            if found and (entry.section, found[1]) in schema:
                yield (
                    f"{file.name}:{line}: '{found[1]}' is indented, so this line continues '{entry.key}' of line "
                    f"{entry.line}; remove the blanks in front of it"
                )


def comments_in_values(file: ConfigFile) -> Iterator[str]:
    """Yield a warning for each value that seems to end with a comment, without the value."""
    for entry in file.entries:
        found = re.match(_COMMENT, entry.value)
        if found and "\n" not in entry.value:
            yield (
                f"{file.name}:{entry.line}: the value of '{entry.key}' includes what follows ' {found[1]}'; a comment "
                "stands on a line of its own"
            )
