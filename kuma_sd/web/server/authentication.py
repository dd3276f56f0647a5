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
from kuma_sd.web.server.limits import client_of

MOST_REMEMBERED = 1000
"""How many right passwords, and how many addresses with wrong ones, are remembered."""

MOST_FAILURES = 5
"""How many wrong passwords a client may try at once."""

MOST_CHECKED_AT_ONCE = 2
"""How many requests may have a password checked at once: one is computed, one waits. Whoever comes then is told to come
again, so that guessing takes one processor and two threads at most."""

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


class KnownPasswords:
    """Passwords that were right; what is kept of them cannot be read, and is worth nothing to who has it."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._tokens: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, token: bytes) -> bool:
        return token in self._tokens

    def token(self, user: str, hashed: bytes, password: bytes) -> bytes:
        """Return what stands for a password; another one as soon as the user's hash is another one."""
        return hmac.digest(self._secret, b"\0".join((user.encode(), hashed, password)), hashlib.sha256)

    def add(self, token: bytes) -> None:
        """Remember that it was right."""
        _remember(self._tokens, token, None)


class Authentication:
    """Checks HTTP basic authentication. Whether a user exists shows neither in the answer nor in its time.

    A password that was right before neither waits nor counts, whatever others do.

    Args:
        users: the bcrypt hashes of their passwords, by name; at least one.
        clock: seconds that never go back.
    """

    def __init__(self, users: Mapping[str, bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self._clock = clock
        self.known = KnownPasswords()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._places = threading.BoundedSemaphore(MOST_CHECKED_AT_ONCE)
        self._computing = threading.Lock()
        # In place of the hash of a user that is missing, to take the same time.
        self._decoy = b"$2b$%s$" % max(hashed.split(b"$")[2] for hashed in users.values()) + b"." * 53
        self.computed = 0
        """How many passwords were compared with bcrypt so far."""

    @property
    def users(self) -> tuple[str, ...]:
        """The names of the users."""
        return tuple(self._users)

    def remember(self, former: "Authentication") -> None:
        """Go on with what another one found right, as far as hashes are the same."""
        self.known = former.known

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
        hashed = self._users.get(user, self._decoy)
        token = self.known.token(user, hashed, password)
        if token in self.known:
            return
        self._check_failures(client_of(address))
        if not self._places.acquire(blocking=False):
            raise Refused(503, "other passwords are being checked; try again", {"Retry-After": "1"})
        try:
            with self._computing:
                # Who waited may have been answered for.
                if token not in self.known:
                    self._check(user, password, token, client_of(address))
        finally:
            self._places.release()

    def _check(self, user: str, password: bytes, token: bytes, client: str) -> None:
        # Again, since others of this client may have failed meanwhile.
        failed = self._check_failures(client)
        if not self._is_right(user, password):
            _remember(self._failures, client, _Failures(failed + 1, self._clock()))
            raise Refused(401, "the user or the password is wrong", _CHALLENGE)
        self.known.add(token)

    def _check_failures(self, client: str) -> float:
        now = self._clock()
        number, when = self._failures.get(client, _Failures(0, now))
        failed = max(0.0, number - (now - when) * FAILURES_A_SECOND)
        if failed > MOST_FAILURES - 1:
            wait = (failed - MOST_FAILURES + 1) / FAILURES_A_SECOND
            raise Refused(429, "too many wrong passwords; wait", {"Retry-After": str(int(wait) + 1)})
        return failed

    def _is_right(self, user: str, password: bytes) -> bool:
        # Late, for those who need it.
        import bcrypt  # noqa: PLC0415

        self.computed += 1
        # No hash of a NUL can match; one without it takes the same time.
        usable = password[:LONGEST_PASSWORD].replace(b"\0", b"")
        is_equal = bcrypt.checkpw(usable, self._users.get(user, self._decoy))
        return is_equal and user in self._users and b"\0" not in password


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
