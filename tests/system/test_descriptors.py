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
