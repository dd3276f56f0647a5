"""A clean Debian on this machine: files, processes and a loopback network of its own, gone when the block ends.

It is unpacked from what `script/debian-base` makes. What it installs comes from where this machine's packages
come from. Its systemd is booted where that is permitted; without, `distribution/systemctl` stands in.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from waiting import eventually

SCRIPT = Path(__file__).parents[2] / "script"

_TOOLS = ("apt-get", "debootstrap", "nsenter", "unshare")

# Process 1 of the machine: the network is its own, with the loopback interface up (SIOCSIFFLAGS, IFF_UP); children that
# lose their parent are its, and must not stay as zombies.
_FIRST = """
import fcntl, signal, socket, struct
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("up", flush=True)
signal.pause()
"""

# What makes apt work there as it does here.
_OF_APT = (
    *("etc/apt", "etc/hosts", "etc/resolv.conf", "etc/ssl/certs", "usr/share/keyrings"),
    *("usr/share/ca-certificates", "usr/local/share/ca-certificates"),
)


# Services begin with the machine, not before.
_INSTALL = """
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
apt-get update -qq
apt-get install -qq --yes {packages}
rm /usr/sbin/policy-rc.d
"""


class Machine:
    """A Debian that runs.

    Args:
        root: its files.
        first: the process id of its process 1, as this machine counts.
    """

    def __init__(self, root: Path, first: int) -> None:
        self.root = root
        self._first = str(first)

    def run(self, script: str, *, network: bool = False, check: bool = True, **environment: str) -> str:
        """Run a shell script as root; returns what it printed.

        Args:
            script: the text.
            network: whether it sees this machine's network instead of its own.
            check: whether it must succeed.
            **environment: further variables.
        """
        own = ["--pid", "--mount"] if network else ["--pid", "--mount", "--net"]
        command = ["nsenter", "--target", self._first, *own, *self._inside(), "sh", "-euc", script]
        base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        environment = base | (proxies if network else {}) | {"DEBIAN_FRONTEND": "noninteractive"} | environment
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        assert done.returncode == 0 or not check, f"{script}\n{done.stdout}"
        return done.stdout

    def _inside(self) -> list[str]:
        return ["chroot", str(self.root)]

    def make_read_only(self, writable: Iterable[str], owner: int) -> None:
        """Let nobody write anything but below these directories, which are empty and belong to owner."""
        root = self.root
        mounts = [f"mount --rbind {root} {root}", f"mount -o remount,bind,ro {root}", f"mount --bind /dev {root}/dev"]
        mounts += [f"mount -t tmpfs -o uid={owner},gid={owner} tmpfs {root}{item}" for item in writable]
        script = " && ".join(mounts)
        subprocess.run(["nsenter", "--target", self._first, "--mount", "sh", "-c", script], check=True)


class BootedMachine(Machine):
    """A Debian whose systemd runs."""

    def _inside(self) -> list[str]:
        return ["--root", "--wd"]


def why_not() -> str:
    """Return why there can be no such machine here; empty if there can."""
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    if missing:
        return f"needs {', '.join(missing)}"
    if os.geteuid() != 0:
        return "needs root, for chroot"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "true"], check=False, capture_output=True)
    return "needs the right to make namespaces" if tried.returncode else ""


@contextlib.contextmanager
def machine(directory: Path) -> Iterator[Machine]:
    """Run a clean Debian of the release that this machine runs, below directory."""
    with _unpacked(directory) as root:
        shutil.copy(Path(__file__).parents[1] / "distribution/systemctl", root / "usr/bin/systemctl")
        # By this directory, maintainer scripts know that systemd is there.
        (root / "run/systemd/system").mkdir(parents=True)
        with started(root) as machine:
            yield machine


@contextlib.contextmanager
def booted(directory: Path, *packages: str) -> Iterator[BootedMachine]:
    """Boot a clean Debian with systemd and these packages, below directory; the test is skipped where nobody may."""
    with _unpacked(directory) as root:
        with started(root) as machine:
            machine.run(_INSTALL.format(packages=" ".join(packages)), network=True)
        nspawn = ["systemd-nspawn", "--quiet", f"--directory={root}", "--private-network", "--resolv-conf=off"]
        nspawn += ["--register=no", "--keep-unit", "--console=pipe"]
        tried = subprocess.run([*nspawn, "true"], check=False, capture_output=True, text=True)
        if tried.returncode:
            pytest.skip(f"booting is not permitted here: {tried.stdout}{tried.stderr}")
        with subprocess.Popen([*nspawn, "--boot"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as outer:
            try:
                eventually(lambda: _is_up(outer.pid), "its systemd is up", 300)
                yield _machine_in(outer.pid)
            finally:
                outer.terminate()


def _machine_in(container: int) -> BootedMachine:
    first = int(Path(f"/proc/{container}/task/{container}/children").read_text())
    # As it sees its files itself, with what it mounts.
    return BootedMachine(Path(f"/proc/{first}/root"), first)


def _is_up(container: int) -> bool:
    children = Path(f"/proc/{container}/task/{container}/children").read_text().split()
    try:
        names = [Path(f"/proc/{child}/comm").read_text() for child in children]
    except OSError:
        return False
    # Until systemd begins, systemd-nspawn has other children, which are still on this machine.
    if names != ["systemd\n"]:
        return False
    said = _machine_in(container).run("systemctl is-system-running --wait", check=False)
    return said.strip() in ("running", "degraded")


@contextlib.contextmanager
def _unpacked(directory: Path) -> Iterator[Path]:
    root = directory / "root"
    root.mkdir()
    try:
        subprocess.run(["tar", "-xf", _base(), "-C", root], check=True)
        _make_at_home(root)
        yield root
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)


@contextlib.contextmanager
def started(root: Path) -> Iterator[Machine]:
    """Run what is in these files, until the block ends."""
    unshare = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
    python = [sys.executable, "-ISc", _FIRST]
    command = [*unshare, f"--mount-proc={root}/proc", *python]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as outer:
        try:
            assert outer.stdout
            assert outer.stdout.readline() == "up\n"
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text()
            yield Machine(root, int(children))
        finally:
            # The kernel ends all others in there with process 1, and its mounts with the last of them.
            outer.kill()


def _base() -> str:
    return subprocess.run([SCRIPT / "debian-base"], check=True, capture_output=True, text=True).stdout.strip()


def _make_at_home(root: Path) -> None:
    shutil.rmtree(root / "etc/apt")
    copied = [name for name in _OF_APT if (Path("/") / name).exists()]
    subprocess.run(["cp", "--archive", "--remove-destination", "--parents", *copied, root], check=True, cwd="/")
    # Less to wait for: what is only recommended, like exporters, changes nothing for us.
    (root / "etc/apt/apt.conf.d/few").write_text('APT::Install-Recommends "false";')
    for device, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        os.mknod(root / "dev" / device, 0o20666, os.makedev(1, minor))
        (root / "dev" / device).chmod(0o666)


needs_machine = pytest.mark.skipif(bool(why_not()), reason=f"a clean Debian {why_not()}")
