"""Find the entry points of installed distributions.

They are read where pip leaves them: in a folder beside the modules. importlib.metadata would find them too, but brings
e-mail and ZIP archives, which took a tenth of the time of `kuma-sd check`. It is loaded to name a distribution, and
where distributions are installed in another way.
"""

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import reduce
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kuma_sd.core.regular_file import read_regular

if TYPE_CHECKING:
    from importlib.metadata import Distribution


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that is used here."""

    @property
    def name(self) -> str:
        """``KIND.NAME``, or a plain name."""

    @property
    def dist(self) -> "Distribution | None":
        """The distribution it belongs to."""

    def load(self) -> Any:  # noqa: ANN401 (any module or object)
        """Import the object that it names."""


class InFolder(NamedTuple):
    """An entry point of a distribution whose metadata is in a folder.

    Args:
        name: its name.
        value: ``MODULE`` or ``MODULE:OBJECT``.
        folder: the folder of the metadata.
    """

    name: str
    value: str
    folder: str

    @property
    def dist(self) -> "Distribution":
        """The distribution it belongs to."""
        from importlib.metadata import PathDistribution  # noqa: PLC0415 (late, since it loads slowly)

        return PathDistribution(Path(self.folder))

    def load(self) -> Any:  # noqa: ANN401 (any module or object)
        """Import the object that it names."""
        module, _, path = self.value.partition("[")[0].partition(":")
        return reduce(getattr, filter(None, path.strip().split(".")), importlib.import_module(module.strip()))


def installed_entry_points(group: str) -> Iterable[EntryPoint]:
    """Return the entry points of a group; the same as importlib.metadata does."""
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    if finders == [PathFinder] and not any(path.endswith(".egg") or os.path.isfile(path) for path in sys.path):  # noqa: PTH113 (a Path for each takes long)
        return [entry for folder in _metadata_folders() for entry in _entry_points_in(folder, group)]
    from importlib.metadata import entry_points  # noqa: PLC0415 (late, since it loads slowly)

    return entry_points(group=group)


def _metadata_folders() -> Iterator[str]:
    """Yield the folders of metadata; of several versions of a distribution, the first one on the path counts."""
    found = set()
    for directory in sys.path:
        with suppress(OSError):
            for name in os.listdir(directory or "."):  # noqa: PTH208 (as above)
                stem, extension = os.path.splitext(name)  # noqa: PTH122 (as above)
                distribution = stem.partition("-")[0].replace(".", "_").lower()
                if extension in (".dist-info", ".egg-info") and distribution not in found:
                    found.add(distribution)
                    yield os.path.join(directory, name)  # noqa: PTH118 (as above)


def _entry_points_in(folder: str, group: str) -> Iterator[InFolder]:
    # Without the file, the distribution has none.
    with suppress(FileNotFoundError, NotADirectoryError):
        section = ""
        for line in read_regular(Path(folder, "entry_points.txt")).decode().splitlines():
            text = line.strip()
            name, _, value = map(str.strip, text.partition("="))
            if text.startswith("["):
                section = text.strip("[]")
            elif section == group and text and not text.startswith("#"):
                yield InFolder(name, value, folder)
