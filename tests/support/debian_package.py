"""Debian's package as script/deb made it, a next version of it, and what its upgrade must not disturb."""

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def package_of_debian() -> Path:
    """Return the package that script/deb made."""
    return max((ROOT / "dist").glob("kuma-sd_*.deb"), key=lambda path: path.stat().st_mtime)


def newer(package: Path, directory: Path) -> tuple[Path, str]:
    """Make a package of a next version; returns it and the version."""
    files = directory / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", package, files], check=True)
    control = (files / "DEBIAN/control").read_text()
    version = re.findall(r"^Version: (.*)$", control, flags=re.MULTILINE)[0]
    (files / "DEBIAN/control").write_text(control.replace(f"Version: {version}", f"Version: {version}+next"))
    (module,) = files.glob("opt/kuma-sd/lib/python3*/site-packages/kuma_sd/_version.py")
    module.write_text(f'__version__ = "{version}+next"\n')
    # A version with other options has another sample; the conffile stays as it is.
    with (files / "usr/share/doc/kuma-sd/kuma-sd.conf").open("a") as sample:
        sample.write("#another-option = 1\n")
    built = directory / f"kuma-sd_{version}+next_all.deb"
    subprocess.run(["dpkg-deb", "--build", "-Zgzip", "-z1", files, built], check=True, capture_output=True)
    return built, f"{version}+next"


@contextlib.contextmanager
def read_all_along(file: Path) -> Iterator[list[str]]:
    """Read a file again and again until the block ends; yields what was wrong with it."""
    wrong: list[str] = []
    ended, begun = threading.Event(), threading.Event()

    def read() -> None:
        while not ended.wait(0.001):
            try:
                if not json.loads(file.read_bytes()):
                    wrong.append("no target")
            except (OSError, ValueError) as error:
                wrong.append(str(error))
            begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert begun.wait(10)
        yield wrong
    finally:
        ended.set()
        thread.join()
