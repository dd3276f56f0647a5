import errno
import subprocess
import sys

import pytest

from kuma_sd.system.descriptors import require_descriptors


def test_it_is_said_when_there_are_too_few_left() -> None:
    require_descriptors(4)
    with pytest.raises(OSError) as caught:  # noqa: PT011 (its number says it)
        require_descriptors(10_000_000)
    assert caught.value.errno == errno.EMFILE


def test_closed_standard_descriptors_are_opened_so_that_no_file_becomes_one_of_them() -> None:
    code = (
        "import os; from kuma_sd.system.descriptors import open_standard_descriptors; open_standard_descriptors(); "
        "file = os.open('/dev/null', os.O_RDONLY); os._exit(0 if file > 2 else 1)"
    )
    command = ["sh", "-c", 'exec "$0" -c "$1" 0<&- 1>&- 2>&-', sys.executable, code]
    assert subprocess.run(command, check=False).returncode == 0


def limits_after_raising(enough: str = "descriptors.ENOUGH_DESCRIPTORS") -> bytes:
    """Return the limits of a process that had 300 of 900, and a quarter of what it may have now."""
    code = (
        f"import resource; from kuma_sd.system import descriptors; descriptors.ENOUGH_DESCRIPTORS = {enough}; "
        "descriptors.raise_descriptor_limit(); "
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE), descriptors.share_of_descriptors(4))"
    )
    command = ["sh", "-c", 'ulimit -S -n 300; ulimit -H -n 900; exec "$0" -c "$1"', sys.executable, code]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_a_process_allows_itself_as_many_as_it_may_have() -> None:
    assert limits_after_raising() == b"900 900 225\n"


def test_a_higher_limit_is_left_as_it_is() -> None:
    assert limits_after_raising(enough="100") == b"300 900 75\n"
