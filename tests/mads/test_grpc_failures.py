import pytest

from kuma_sd.core.errors import ConnectionClosedError
from kuma_sd.mads.errors import UnreachableError
from kuma_sd.mads.grpc_failures import failed

MARK = "s3cr3t-t0k3n"

FOR_ALL = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        (f"{FOR_ALL}Failed to connect to remote host: Connection refused", "Connection refused"),
        (f"{FOR_ALL}HTTP proxy returned response code 407", "the proxy refuses with HTTP status 407"),
        (f"{FOR_ALL}Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame, got frame type 80)", "HTTP/2"),
        (f"{FOR_ALL}recvmsg:Connection reset by peer (104)", "the connection was closed"),
        (f"{FOR_ALL}SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: self-signed", "with tls-ca-file"),
        (f"errors resolving {MARK}:1: [Domain name not found]", "its name does not resolve"),
        ("Received http2 header with status: 503", "HTTP status 503"),
        (f"Stream removed (GOAWAY received; Error code: 11; Debug Text: {MARK})", "HTTP/2 error 11"),
        (MARK, "it is unavailable"),
        (f"Connection refused {MARK}", "Connection refused"),
    ],
)
def test_known_texts_of_grpc_are_said_in_our_words(details: str, shown: str) -> None:
    error = failed("UNAVAILABLE", details)
    assert isinstance(error, UnreachableError)
    assert shown in str(error)
    assert MARK not in str(error)


@pytest.mark.parametrize("status", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
def test_a_status_about_credentials_names_the_options(status: str) -> None:
    assert "check bearer-token-file or basic-auth" in str(failed(status, MARK))


def test_any_other_status_is_named_without_the_text_of_the_server() -> None:
    assert str(failed("RESOURCE_EXHAUSTED", MARK)) == "gRPC status resource exhausted"
    assert str(failed("INTERNAL", "RST_STREAM with error code 2")).endswith(
        "internal: it reset the stream with HTTP/2 error 2"
    )


@pytest.mark.parametrize(
    ("status", "details", "is_closed"),
    [
        ("UNAVAILABLE", "Socket closed", True),
        ("UNAVAILABLE", MARK, True),
        ("CANCELLED", MARK, True),
        ("INTERNAL", "Received RST_STREAM with error code 2", True),
        ("UNKNOWN", "Stream removed", True),
        ("UNKNOWN", MARK, False),
        ("INTERNAL", MARK, False),
        ("UNAVAILABLE", "keepalive watchdog timeout", False),
    ],
)
def test_a_stream_that_was_closed_is_told_from_one_that_was_refused_or_silent(
    status: str, details: str, *, is_closed: bool
) -> None:
    closed = failed(status, details, answered=True)
    assert isinstance(closed, ConnectionClosedError) == is_closed
    assert str(closed) == str(failed(status, details))
    assert not isinstance(failed(status, details), ConnectionClosedError)
