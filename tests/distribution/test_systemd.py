"""Debian's package under Debian's systemd: a machine is booted, and what the unit promises is done to it."""

import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_machine import BootedMachine, booted, needs_machine
from debian_package import newer, package_of_debian, read_all_along
from waiting import eventually

pytestmark = [
    pytest.mark.walk,
    pytest.mark.timeout(900),
    needs_machine,
    pytest.mark.skipif(not shutil.which("systemd-nspawn"), reason="needs Debian's package systemd-container"),
]

PUBLISHED = "/run/kuma-prometheus-sd/kuma.file_sd.json"
SETTINGS = "[kuma-sd]\ncp-address = grpc://127.0.0.1:5676\n"
FILTER = 'transform = only=filter\n[only]\nmatch = mesh="default"\n'


# Starts compile nothing and wait for nobody, but a machine may be busy.
in_time = functools.partial(eventually, patience=120)


class Service:
    """The service kuma-sd on a machine."""

    def __init__(self, debian: BootedMachine) -> None:
        self.debian = debian
        self.file = debian.root / PUBLISHED[1:]

    def value(self, name: str) -> str:
        """Return what systemd says of it."""
        return self.debian.run(f"systemctl show --property={name} --value kuma-sd").strip()

    @property
    def pid(self) -> int:
        return int(self.value("MainPID"))

    def meshes(self) -> set[str]:
        """Return the meshes of what is published, as Prometheus's user reads it."""
        groups = json.loads(self.debian.run(f"runuser -u prometheus -- cat {PUBLISHED}"))
        return {group["labels"]["mesh"] for group in groups}

    def access(self) -> str:
        """Return the settings file's mode and owners."""
        return self.debian.run("stat --format='%a %U:%G' /etc/kuma-sd.conf").strip()

    def set(self, text: str) -> None:
        (self.debian.root / "etc/kuma-sd.conf").write_text(text)

    def is_ready(self) -> bool:
        return "ready" in self.debian.run("kuma-sd status --ready >/dev/null 2>&1 && echo ready", check=False)

    def messages(self, *priorities: int) -> list[str]:
        """Return what the journal has of it, of these priorities."""
        lines = self.debian.run("journalctl --unit=kuma-sd --output=json _COMM=kuma-sd").splitlines()
        entries = [json.loads(line) for line in lines]
        return [entry["MESSAGE"] for entry in entries if int(entry["PRIORITY"]) in priorities]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with booted(tmp_path, "systemd-sysv", "dbus", "prometheus") as debian:
        shutil.copy(package_of_debian(), debian.root / "srv")
        debian.run("apt-get install -qq --yes /srv/kuma-sd_*.deb", network=True)
        yield Service(debian)


def test_the_service_keeps_what_its_unit_promises(service: Service, tmp_path: Path) -> None:
    keeps_its_settings_from_others(service)
    starts(service)
    is_confined(service)
    says_what_matters_to_the_journal(service)
    reloads(service)
    keeps_the_file_when_stopped_and_restarted(service)
    is_restarted_by_the_watchdog_with_its_saved_targets(service)
    is_upgraded_without_a_hole(service, tmp_path)
    leaves_what_is_the_operators_and_nothing_after_a_purge(service)


OURS = "640 root:kuma-sd"


def keeps_its_settings_from_others(service: Service) -> None:
    assert service.access() == OURS
    assert "Permission denied" in service.debian.run("runuser -u prometheus -- cat /etc/kuma-sd.conf", check=False)
    assert "warn" not in service.debian.run("kuma-sd check 2>&1")
    # As packages before this rule left it.
    service.debian.run("chmod 0644 /etc/kuma-sd.conf")


# Run in the place of the daemon, with all else of its unit; what it prints is what was possible.
INTRUDER = """
import ctypes, mmap, os, socket

libc = ctypes.CDLL(None, use_errno=True)

def called(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)

ATTEMPTS = {
    **{f"write to {path}": lambda path=path: open(f"{path}/intruder", "w")
       for path in ("/etc", "/usr", "/opt/kuma-sd", "/var/cache", "/root", "/home")},
    **{f"see {path}": lambda path=path: os.listdir(path) for path in ("/proc/sys", "/proc/net", "/root", "/dev/disk")},
    "see process 1": lambda: os.stat("/proc/1"),
    "become root": lambda: os.setuid(0),
    "mount": lambda: called("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "make a namespace": lambda: called("unshare", 0x10000000),
    "trace": lambda: called("ptrace", 0, 0, 0, 0),
    "have priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
    "load a module": lambda: called("init_module", b"", 0, b""),
    "reboot": lambda: called("reboot", 0),
    "make memory executable": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "send raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "set another's bits": lambda: os.chmod("/var/lib/kuma-sd", 0o4755),
    # What it must be able to do.
    "write its state": lambda: open("/var/lib/kuma-sd/intruder", "w"),
    "write its file": lambda: open("/run/kuma-prometheus-sd/intruder", "w"),
    "give a file to a group": lambda: os.chown("/run/kuma-prometheus-sd/intruder", -1, os.getgroups()[-1]),
    "connect": lambda: socket.socket().close(),
}
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
    except OSError:
        continue
    print("possible:", name)
print("mode:", oct(os.stat("/var/lib/kuma-sd/intruder").st_mode)[-3:])
os.unlink("/var/lib/kuma-sd/intruder"), os.unlink("/run/kuma-prometheus-sd/intruder")
"""

INTRUDERS_UNIT = """
sed -e 's|^ExecStart=.*|SyslogIdentifier=intruder\\nExecStart=/opt/kuma-sd/bin/python3 /srv/intruder.py|' \\
    -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d' -e '/^WatchdogSec/d' "$(systemctl show -P FragmentPath kuma-sd)" \\
    >/run/systemd/system/intruder.service
systemctl daemon-reload && systemctl start intruder
journalctl --identifier=intruder --output=cat
rm /run/systemd/system/intruder.service && systemctl daemon-reload
"""


def is_confined(service: Service) -> None:
    (service.debian.root / "srv/intruder.py").write_text(INTRUDER)
    possible = ["write its state", "write its file", "give a file to a group", "connect"]
    shown = service.debian.run(INTRUDERS_UNIT).splitlines()
    assert shown == [*(f"possible: {name}" for name in possible), "mode: 640"]
    status = dict(line.split(":\t") for line in service.debian.run(f"cat /proc/{service.pid}/status").splitlines())
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Umask"]) == ("1", "2", "0027")
    spaces = service.debian.run(
        f"readlink /proc/1/ns/mnt /proc/1/ns/ipc /proc/{service.pid}/ns/mnt /proc/{service.pid}/ns/ipc"
    )
    assert len(set(spaces.split())) == 4, "mounts and IPC are its own"
    assert "1.4 OK" in service.debian.run("systemd-analyze security --no-pager kuma-sd"), (
        "as it runs, not only as written"
    )


def starts(service: Service) -> None:
    assert service.value("ActiveState") in ("active", "activating"), "installing it starts it"
    service.debian.run("systemd-run --quiet --unit=kuma kuma-sd simulate --churn=0")
    service.set(SETTINGS)
    service.debian.run("systemctl restart kuma-sd")
    assert (service.value("ActiveState"), service.value("SubState")) == ("active", "running"), "READY=1 came"
    assert service.value("UnitFileState") == "enabled"
    in_time(service.is_ready, "its control plane has answered")
    assert "target" in service.value("StatusText")
    assert service.meshes() == {"default", "payments", "shop"}


def says_what_matters_to_the_journal(service: Service) -> None:
    assert any("published" in message for message in service.messages(6)), "info"
    service.set(SETTINGS + "nonsense = 1\n")
    service.debian.run("systemctl reload kuma-sd")
    in_time(lambda: any("nonsense" in message for message in service.messages(3, 4)), "the refusal is no info")
    assert not any("nonsense" in message for message in service.messages(5, 6, 7))
    assert service.meshes() == {"default", "payments", "shop"}


def reloads(service: Service) -> None:
    before = service.pid
    service.set(SETTINGS + FILTER)
    service.debian.run("systemctl reload kuma-sd")
    in_time(lambda: service.meshes() == {"default"}, "the filter is in effect")
    service.set(SETTINGS)
    in_time(lambda: "payments" in service.meshes(), "an edit alone takes effect as well")
    assert service.pid == before


def keeps_the_file_when_stopped_and_restarted(service: Service) -> None:
    before, pid = service.file.read_bytes(), service.pid
    with read_all_along(service.file) as wrong:
        service.debian.run("systemctl stop kuma-sd")
        assert service.value("Result") == "success"
        assert service.file.read_bytes() == before
        service.debian.run("systemctl start kuma-sd")
        service.debian.run("systemctl restart kuma-sd")
    assert wrong == []
    assert service.pid != pid
    assert service.file.read_bytes() == before


def is_restarted_by_the_watchdog_with_its_saved_targets(service: Service) -> None:
    service.debian.run("mkdir -p /etc/systemd/system/kuma-sd.service.d")
    # The unit's minute is long for a test, and so are its 20 s until what does not end is killed.
    quick = "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=2s\n"
    (service.debian.root / "etc/systemd/system/kuma-sd.service.d/quick.conf").write_text(quick)
    service.debian.run("systemctl daemon-reload && systemctl restart kuma-sd && systemctl stop kuma")
    before, pid = service.file.read_bytes(), service.pid
    service.debian.run(f"kill -STOP {pid}")
    in_time(lambda: service.pid not in (pid, 0) and service.is_ready(), "systemd has started another one")
    assert service.file.read_bytes() == before, "it begins with what was saved, for its control plane is gone"
    assert int(service.value("NRestarts")) == 1
    service.debian.run("systemd-run --quiet --unit=kuma kuma-sd simulate --churn=0")


def is_upgraded_without_a_hole(service: Service, tmp_path: Path) -> None:
    package, version = newer(package_of_debian(), tmp_path)
    shutil.copy(package, service.debian.root / "srv")
    pid = service.pid
    with read_all_along(service.file) as wrong:
        service.debian.run(f"dpkg --install /srv/{package.name}")
        in_time(service.is_ready, "the new one has published")
    assert wrong == []
    assert service.pid != pid
    assert service.debian.run("kuma-sd version") == f"kuma-sd {version}\n"
    assert (service.debian.root / "etc/kuma-sd.conf").read_text() == SETTINGS
    assert service.access() == OURS, "an upgrade closes what an older package left open"


def leaves_what_is_the_operators_and_nothing_after_a_purge(service: Service) -> None:
    root = service.debian.root
    service.debian.run("dpkg --remove kuma-sd")
    assert (root / "etc/kuma-sd.conf").read_text() == SETTINGS
    assert service.meshes() == {"default", "payments", "shop"}
    assert list((root / "var/lib/kuma-sd").rglob("*")), "the last good targets are kept"
    service.debian.run("systemctl stop kuma; dpkg --purge kuma-sd; rm -r /etc/systemd/system/kuma-sd.service.d")
    left = "find / -xdev -name '*kuma*' -not -path '/proc/*' -not -path '/srv/*'"
    assert service.debian.run(left) == ""
    assert service.debian.run("find /run -name '*kuma*' -not -path '/run/systemd/*'") == ""
    assert service.debian.run("getent passwd kuma-sd; getent group kuma-sd", check=False) == ""
