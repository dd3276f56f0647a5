"""HTTP basic authentication with bcrypt hashes. Bcrypt is slow on purpose, so correct passwords are cached."""

import base64
import binascii
import hashlib
import hmac
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from kuma_sd.core.bounded_cache import remember_newest
from kuma_sd.web.application import Refused
from kuma_sd.web.server.failed_logins import FailedLogins

MOST_REMEMBERED = 1000
"""Maximum number of cached correct passwords."""

MOST_CHECKED_AT_ONCE = 2
"""Number of requests whose password is checked at a time: one is computed, one waits. Further requests get a status to
retry later, so that guessing passwords takes at most one processor and two threads."""

# Bcrypt's limit (longer passwords are truncated or rejected, depending on the implementation).
LONGEST_PASSWORD = 72

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="kuma-sd", charset="UTF-8"'}


class KnownPasswords:
    """Cache of correct passwords, stored as keyed digests that reveal no password."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._tokens: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, token: bytes) -> bool:
        return token in self._tokens

    def token(self, user: str, hashed: bytes, password: bytes) -> bytes:
        """Return the digest of a password; it changes with the user's hash."""
        return hmac.digest(self._secret, b"\0".join((user.encode(), hashed, password)), hashlib.sha256)

    def add(self, token: bytes) -> None:
        """Cache a correct password."""
        remember_newest(self._tokens, token, None, MOST_REMEMBERED)


class Authentication:
    """Checks HTTP basic authentication. Neither the response nor its timing shows whether a user exists.

    A cached password is accepted without waiting, and does not count against limits.

    Args:
        users: the bcrypt hashes of their passwords, by name; at least one.
        clock: seconds that never go back.
    """

    def __init__(self, users: Mapping[str, bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self.known = KnownPasswords()
        self._failed = FailedLogins(clock)
        self._places = threading.BoundedSemaphore(MOST_CHECKED_AT_ONCE)
        self._computing = threading.Lock()
        # Used for unknown users, so that they take the same time.
        self._decoy = b"$2b$%s$" % max(hashed.split(b"$")[2] for hashed in users.values()) + b"." * 53
        self.computed = 0
        """Number of bcrypt comparisons so far."""

    @property
    def users(self) -> tuple[str, ...]:
        """The names of the users."""
        return tuple(self._users)

    def remember(self, former: "Authentication") -> None:
        """Take over the cached passwords of another instance for users with unchanged hashes."""
        self.known = former.known

    def check(self, header: str, address: str) -> None:
        """Authenticate a client.

        Args:
            header: the ``Authorization`` header.
            address: the client's address.

        Raises:
            Refused: user or password is wrong, or there were too many wrong attempts.
        """
        credentials = _credentials(header)
        if credentials is None:
            raise Refused(401, "say who you are: a user and a password are needed", _CHALLENGE)
        user, password = credentials
        hashed = self._users.get(user, self._decoy)
        token = self.known.token(user, hashed, password)
        if token in self.known:
            return
        self._failed.check(address)
        if not self._places.acquire(blocking=False):
            raise Refused(503, "other passwords are being checked; try again", {"Retry-After": "1"})
        try:
            with self._computing:
                # The password may have been cached while this request waited.
                if token not in self.known:
                    self._check(user, password, token, address)
        finally:
            self._places.release()

    def _check(self, user: str, password: bytes, token: bytes, address: str) -> None:
        # Check again: other requests of this client may have failed meanwhile.
        self._failed.check(address)
        if not self._is_right(user, password):
            self._failed.add(address)
            raise Refused(401, "the user or the password is wrong", _CHALLENGE)
        self.known.add(token)

    def _is_right(self, user: str, password: bytes) -> bool:
        # Imported late: only needed with authentication.
        import bcrypt  # noqa: PLC0415

        self.computed += 1
        # Bcrypt rejects NUL, and no password with NUL can match; without it the check takes the same time.
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
