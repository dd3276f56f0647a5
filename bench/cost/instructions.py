"""Count the instructions of each stage with callgrind, independently of the machine's load."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kuma_sd.simulator import GeneratedWorld
from kuma_sd.simulator.encoders import GrpcV1, HttpV1

TARGETS = 3_000
COMMANDS = {"`kuma-sd version`": ["version"], "`kuma-sd check`": ["check", "--cp-address=http://127.0.0.1:1"]}


def available() -> bool:
    """Whether callgrind is installed."""
    return shutil.which("valgrind") is not None


def stages() -> dict[str, dict[str, float]]:
    """Return the instructions for each target, by stage and protocol."""
    counts: dict[str, dict[str, float]] = {}
    for protocol in ("gRPC", "HTTP"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            program = [str(Path(__file__).with_name("stages.py")), protocol, *_responses(folder, protocol)]
            names, (_start, *parts) = _counted(folder, program)
            for stage, part in zip(names, parts, strict=True):
                counts.setdefault(stage, {})[protocol] = part / TARGETS
    return counts


def commands() -> dict[str, int]:
    """Return the instruction counts of short commands."""
    counts = {}
    for name, command in COMMANDS.items():
        program = ["-m", "kuma_sd", *command]
        # The first run compiles the imported modules.
        subprocess.run([sys.executable, *program], stdout=subprocess.DEVNULL, check=True)  # noqa: S603 (kuma-sd)
        with tempfile.TemporaryDirectory() as folder:
            _, parts = _counted(Path(folder), program)
            counts[name] = sum(parts)
    return counts


def _responses(folder: Path, protocol: str) -> list[str]:
    """Write two responses with the same targets, always in the same two orders; returns the paths."""
    format_ = GrpcV1() if protocol == "gRPC" else HttpV1()
    resources = GeneratedWorld(TARGETS).renderer(format_)()
    paths = []
    for version in ("1", "2"):
        random.Random(version).shuffle(resources)  # noqa: S311 (no secret)
        if isinstance(format_, HttpV1):
            response = b"".join(format_.pieces(version, resources))
        else:
            response = format_.response(version, version, resources)
        path = folder / version
        path.write_bytes(response)
        paths.append(str(path))
    return paths


def _counted(folder: Path, program: list[str]) -> tuple[list[str], list[int]]:
    """Run Python on a program; returns the lines it printed, and the instructions of each part but the last one."""
    out = folder / "callgrind.out"
    valgrind = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={out}", "--dump-before=getppid"]
    # The order of sets and dictionaries depends on hashes.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    ended = subprocess.run(  # noqa: S603 (valgrind)
        [*valgrind, sys.executable, *program], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    files = sorted(folder.glob(f"{out.name}.*"), key=lambda path: int(path.suffix[1:]))
    return ended.stdout.splitlines(), [_summary(path) for path in files] or [_summary(out)]


def _summary(path: Path) -> int:
    found = re.search(r"^summary: (\d+)$", path.read_text(), re.MULTILINE)
    assert found, f"callgrind wrote no summary into {path}"
    return int(found[1])
