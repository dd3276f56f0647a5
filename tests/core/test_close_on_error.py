import io

import pytest

from kuma_sd.core.close_on_error import close_on_error


def test_what_was_opened_stays_open_if_the_block_succeeds() -> None:
    file = io.BytesIO()
    with close_on_error(file):
        pass
    assert not file.closed


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_it_is_closed_if_the_block_fails_and_the_error_goes_on(error: type[BaseException]) -> None:
    file = io.BytesIO()
    with pytest.raises(error), close_on_error(file):
        raise error
    assert file.closed
