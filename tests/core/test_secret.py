"""A secret cannot be shown, whatever is made of it."""

import copy
import dataclasses
import json
import pickle
import traceback

import msgspec
import pytest

from kuma_sd.core.secret import MASK, Secret, parse_secret_file, redacted


@dataclasses.dataclass(frozen=True)
class Holder:
    password: Secret


TEXT = "s3cr3t/Qx@7"
SECRET = Secret(TEXT)


def test_no_text_made_of_a_secret_holds_it() -> None:
    holder = Holder(SECRET)
    texts = [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET:>30}", f"{SECRET!r:>30}", "%s" % SECRET]  # noqa: UP031 (tried too)
    texts += [repr(holder), str(dataclasses.asdict(holder)), str([SECRET]), str(copy.deepcopy(holder))]
    assert not [text for text in texts if "s3cr3t" in text]
    assert SECRET.reveal() == TEXT


@pytest.mark.parametrize("write", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps])
def test_a_secret_is_not_written_in_any_format(write: object) -> None:
    assert callable(write)
    with pytest.raises(TypeError):
        write(SECRET)


def test_a_secret_has_no_attributes_that_vars_would_show() -> None:
    with pytest.raises(TypeError):
        vars(SECRET)


def test_no_secret_is_shown_as_such() -> None:
    assert str(Secret("")) == ""
    assert not Secret("")


def test_equal_secrets_are_equal_and_others_are_not() -> None:
    assert SECRET == Secret(TEXT) != Secret("other")
    assert len({SECRET, Secret(TEXT)}) == 1
    assert SECRET != TEXT


@pytest.mark.parametrize(
    "form", [TEXT, "s3cr3t%2FQx%407", "czNjcjN0L1F4QDc=", repr(f"<{TEXT}>"), json.dumps([TEXT]), f"user:{TEXT}@host"]
)
def test_what_a_library_wrote_of_a_secret_is_taken_out(form: str) -> None:
    text = redacted(f"before {form} after")
    assert MASK in text
    assert "s3cr3t" not in text
    assert "czNj" not in text
    assert text.startswith("before ")
    assert text.endswith(" after")


def test_a_traceback_that_quotes_a_secret_is_redacted() -> None:
    with pytest.raises(ValueError, match=TEXT) as caught:
        int(TEXT)
    assert TEXT not in redacted("".join(traceback.format_exception(caught.value)))


def test_a_short_secret_is_found_between_words_and_not_in_them() -> None:
    short = Secret("kuma")
    assert redacted("user:kuma@host") == f"user:{MASK}@host"
    assert redacted("kumara") == "kumara"
    assert short


@pytest.mark.parametrize("content", [b"t0k3n", b"t0k3n\n", b"t0k3n\r\n", b" t0k3n \n"])
def test_a_file_with_one_line_is_a_secret(content: bytes) -> None:
    assert parse_secret_file(content).reveal() == "t0k3n"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"t0k3n\n# a comment\n", b"t0k3n\n\n", b"t0 k3n", b"t0k3n\0", b"t\xc3\xb6k3n"]
)
def test_a_file_with_anything_else_is_refused_without_quoting_it(content: bytes) -> None:
    with pytest.raises(ValueError, match="one line of visible ASCII") as caught:
        parse_secret_file(content)
    assert "k3n" not in str(caught.value)
