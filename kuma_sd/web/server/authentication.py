"""Users and passwords, hashed with bcrypt, which is slow on purpose: one right password is checked once."""

import base64
import binascii
import hashlib
import hmac
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from kuma_sd.web.application import Refused

MOST_REMEMBERED = 1000
"""How many right passwords, and how many addresses with wrong ones, are remembered."""

MOST_FAILURES = 5
"""How many wrong passwords an address may try at once."""

FAILURES_A_SECOND = 0.2
"""How many it gets back."""

# Bcrypt takes no more (some implementations cut, some refuse).
LONGEST_PASSWORD = 72

Key = TypeVar("Key")
Value = TypeVar("Value")

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="kuma-sd", charset="UTF-8"'}


class _Failures(NamedTuple):
    number: float
    when: float


class Authentication:
    """Checks HTTP basic authentication. Whether a user exists shows neither in the answer nor in its time.

    Args:
        users: the bcrypt hashes of their passwords, by name; at least one.
        clock: seconds that never go back.
    """

    def __init__(self, users: Mapping[str, bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self._clock = clock
        # What is remembered can be read by nobody else, and is worth nothing to who gets hold of it.
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._checking = threading.Lock()
        self.computed = 0
        """How many passwords were compared with bcrypt so far."""

    @property
    def users(self) -> tuple[str, ...]:
        """The names of the users."""
        return tuple(self._users)

    def check(self, header: str, address: str) -> None:
        """Let a client in.

        Args:
            header: what it says under ``Authorization``.
            address: where it is.

        Raises:
            Refused: its user or password is wrong, or was so too often.
        """
        credentials = _credentials(header)
        if credentials is None:
            raise Refused(401, "say who you are: a user and a password are needed", _CHALLENGE)
        user, password = credentials
        token = hmac.digest(self._secret, b"\0".join((user.encode(), password)), hashlib.sha256)
        if token in self._right:
            return
        # One at a time, so that guessing takes one processor at most; and who waited may have been answered for.
        with self._checking:
            if token not in self._right:
                self._check(user, password, token, address)

    def _check(self, user: str, password: bytes, token: bytes, address: str) -> None:
        now = self._clock()
        failed = self._failures_of(address, now)
        if failed > MOST_FAILURES - 1:
            wait = (failed - MOST_FAILURES + 1) / FAILURES_A_SECOND
            raise Refused(429, "too many wrong passwords; wait", {"Retry-After": str(int(wait) + 1)})
        if not self._is_right(user, password):
            _remember(self._failures, address, _Failures(failed + 1, now))
            raise Refused(401, "the user or the password is wrong", _CHALLENGE)
        _remember(self._right, token, None)

    def _failures_of(self, address: str, now: float) -> float:
        number, when = self._failures.get(address, _Failures(0, now))
        return max(0.0, number - (now - when) * FAILURES_A_SECOND)

    def _is_right(self, user: str, password: bytes) -> bool:
        # Late, for those who need it.
        import bcrypt  # noqa: PLC0415

        self.computed += 1
        # Somebody else's in place of one that is missing, to take the same time.
        hashed = self._users.get(user) or next(iter(self._users.values()))
        try:
            return bcrypt.checkpw(password[:LONGEST_PASSWORD], hashed) and user in self._users
        except ValueError:
            # It holds what no password can, like a NUL.
            return False


def _credentials(header: str) -> tuple[str, bytes] | None:
    scheme, _, text = header.partition(" ")
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
        return (user.decode(), password) if scheme.lower() == "basic" and colon else None
    except (binascii.Error, ValueError):
        return None


def _remember(memory: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)
