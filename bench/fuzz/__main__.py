"""Feed untrusted input, guided by coverage, to all that reads it; an unexpected exception, a hang or a leak is a find.

Needs atheris in the environment: pip install atheris. The target redis needs plugins/kuma-sd-redis.
"""

import argparse
import importlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzzed import CORPUS, MODULES

LIMITS = ("-rss_limit_mb=512", "-timeout=5", "-max_len=65536")
"""An input may take 512 MB and five seconds."""


def main() -> int:
    """Fuzz each target in a process of its own; return the exit status."""
    parser = argparse.ArgumentParser("script/bench fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"which, of {', '.join(MODULES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=10, help="how long all take together (default: 10)")
    parser.add_argument("--finds", type=Path, default=Path(), help="where to write finds (default: here)")
    arguments = parser.parse_args()
    targets = arguments.targets or list(MODULES)
    print("| target | inputs | memory, MB | finds |\n|---|---:|---:|---:|")
    found = [_fuzz(name, 60 * arguments.minutes / len(targets), arguments.finds) for name in targets]
    return any(found)


def _fuzz(name: str, seconds: float, finds: Path) -> bool:
    """Fuzz a target; tell whether something was found."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, dictionary = Path(folder) / "inputs", Path(folder) / "dictionary"
        inputs.mkdir()
        target = importlib.import_module(MODULES[name]).TARGETS[name]()
        for number, data in enumerate(target.seeds()):
            (inputs / f"seed-{number}").write_bytes(data)
        dictionary.write_text("# words\n" + "".join(f'"{_escaped(word)}"\n' for word in target.words))
        target.close()
        known = [str(CORPUS / name)] if (CORPUS / name).exists() else []
        command = [sys.executable, str(Path(__file__).with_name("fuzzed.py")), name, *LIMITS, f"-dict={dictionary}"]
        command += [f"-max_total_time={seconds:.0f}", f"-artifact_prefix={finds}/{name}-", str(inputs), *known]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)  # noqa: S603 (our own)
    runs = re.findall(r"#(\d+)\s.*?rss: (\d+)Mb", done.stderr) or [("0", "0")]
    print(f"| {name} | {int(runs[-1][0]):,} | {runs[-1][1]} | {int(done.returncode != 0)} |", flush=True)
    if done.returncode:
        print(done.stderr[-5000:], file=sys.stderr)
    return done.returncode != 0


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
