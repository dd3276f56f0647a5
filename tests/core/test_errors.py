import gc
import weakref

import pytest

from kuma_sd import ConfigError, OutputError, SourceError
from kuma_sd.core.errors import without_frames


class QuotaError(OutputError):
    """An error of a plugin, with arguments of its own."""

    def __init__(self, used: int, allowed: int) -> None:
        super().__init__(f"{used} of {allowed} bytes are used")
        self.used = used


def test_an_error_stays_itself_when_it_is_told_whom_it_concerns() -> None:
    error = QuotaError(9, 8)
    assert error.within("output archive") is error
    assert (str(error), error.used) == ("output archive: 9 of 8 bytes are used", 9)


def test_the_outermost_owner_stands_first() -> None:
    assert str(SourceError("no", 3.0).within("replica b").within("source east")) == "source east: replica b: no"


def test_each_mistake_names_its_owner() -> None:
    error = ConfigError("path is missing", "mode is wrong").within("output yaml")
    assert error.mistakes == ("output yaml: path is missing", "output yaml: mode is wrong")
    assert str(error) == "\n".join(error.mistakes)


def test_an_error_is_raised_again_with_its_attributes() -> None:
    with pytest.raises(SourceError, match=r"^source east: slow down$") as caught:
        raise SourceError("slow down", retry_after=7.0).within("source east")
    assert caught.value.retry_after == 7.0


class Body:
    """Stands for what is large."""


def failing(body: Body) -> None:
    """Raise an error whose frames hold a body, and which one of them holds in turn."""
    held = SourceError("too large")
    try:
        int(str(body))
    except ValueError as cause:
        raise held from cause


def test_an_error_that_is_kept_keeps_nothing_that_its_frames_held() -> None:
    gc.disable()
    try:
        body = Body()
        seen = weakref.ref(body)
        try:
            failing(body)
        except SourceError as error:
            kept = without_frames(error)
        del body
        assert seen() is None
        assert str(kept) == "too large"
        assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)
    finally:
        gc.enable()
