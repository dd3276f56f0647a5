"""Give one target its inputs: ``fuzzed.py TARGET [FLAGS OF LIBFUZZER] [FOLDERS]``, or ``TARGET --replay``."""

import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")

MODULES = {
    "v1": "responses",
    "v1alpha1": "responses",
    "http": "responses",
    "state": "saved_state",
    "settings": "settings_files",
    "web": "web_requests",
    "redis": "redis_entries",
}
"""The module of each target."""


def main() -> None:
    """Fuzz until libFuzzer ends the process, or replay what is at hand."""
    name, *flags = sys.argv[1:]
    # Targets look at the log themselves.
    logging.getLogger().addHandler(logging.NullHandler())
    if flags == ["--replay"]:
        targets: Mapping[str, Callable[[], object]] = importlib.import_module(MODULES[name]).TARGETS
        target = targets[name]()
        inputs = [*target.seeds(), *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]
        for data in inputs:
            target.take(data)
        target.close()
        print(f"{name}: {len(inputs)} inputs")
        return
    import atheris  # noqa: PLC0415 (replaying does without)

    with atheris.instrument_imports(include=["kuma_sd", "kuma_sd_redis", "kuma_sd_bundled"]):
        module = importlib.import_module(MODULES[name])
    target = module.TARGETS[name]()
    atheris.Setup([sys.argv[0], *flags], target.take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
