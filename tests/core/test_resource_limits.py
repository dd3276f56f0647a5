import errno
import os
import subprocess
import sys

import pytest

from kuma_sd.core.errors import ConfigError, failure_reason, if_unexpected
from kuma_sd.core.resource_limits import exhausted_resource

CASES = [
    (OSError(errno.EMFILE, "x"), "too many open files: this process may have", "ulimit -n"),
    (OSError(errno.ENFILE, "x"), "too many open files on this machine", "fs.file-max"),
    (OSError(errno.ENOMEM, "x"), "out of memory", "MemoryMax="),
    (MemoryError(), "out of memory", "MemoryMax="),
    (RuntimeError("can't start new thread"), "too many threads", "ulimit -u"),
    (ImportError(f"x.so: cannot open shared object file: {os.strerror(errno.EMFILE)}"), "too many open", "ulimit -n"),
    (ImportError("x.so: failed to map segment from shared object"), "out of memory", "MemoryMax="),
]


@pytest.mark.parametrize(("error", "what", "limit"), CASES, ids=lambda value: repr(value)[:30])
def test_an_exhausted_resource_is_named_with_the_limit_to_raise(error: Exception, what: str, limit: str) -> None:
    said = exhausted_resource(error)
    assert said.startswith(what)
    assert limit in said
    assert failure_reason(error) == said
    assert if_unexpected(error) is None


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "x"), RuntimeError("x"), ImportError("no module x")])
def test_any_other_error_is_unexpected(error: Exception) -> None:
    assert exhausted_resource(error) == ""
    assert if_unexpected(error) is error
    assert failure_reason(error).startswith("unexpected ")


def test_an_expected_error_has_no_traceback_to_show() -> None:
    assert if_unexpected(ConfigError("x")) is None
    assert if_unexpected(None) is None


def test_what_python_and_the_kernel_raise_is_recognised() -> None:
    """Real ones, in a process whose limits are low."""
    code = (
        "import os, resource\n"
        "from kuma_sd.core.resource_limits import exhausted_resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))\n"
        "try:\n"
        "    while True: os.dup(0)\n"
        "except OSError as error: print(exhausted_resource(error))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\n"
        "try: bytearray(2**29)\n"
        "except MemoryError as error: print(exhausted_resource(error))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    files, memory = ended.stdout.splitlines()
    assert files.startswith("too many open files: this process may have 9; ")
    assert memory.startswith("out of memory, in 262144 KiB of address space (ulimit -v); ")
