"""Read Prometheus's web configuration: TLS, users and headers of the web listener.

The format is documented at https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md, and
`promtool check web-config` checks it too.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.option_types import DURATION, NUMBER
from kuma_sd.core.regular_file import read_regular
from kuma_sd.core.text import did_you_mean
from kuma_sd.core.yaml_nesting import refuse_deep_nesting
from kuma_sd.web.server.authentication import Authentication
from kuma_sd.web.server.rate_limit import RateLimit
from kuma_sd.web.server.tls import ServerContext, TLSConfig

if TYPE_CHECKING:
    from yaml.nodes import Node

# The allowed values of each header; None allows any. No other headers are allowed, as in Prometheus.
_HEADERS: Mapping[str, tuple[str, ...] | None] = {
    "Content-Security-Policy": None,
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": None,
    "Strict-Transport-Security": None,
}

_BCRYPT = r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}"


class WebConfig(msgspec.Struct, frozen=True):
    """A web configuration.

    Args:
        tls: the TLS context; None for plain HTTP.
        authentication: checks users and passwords; None allows all clients.
        headers: headers of each response.
        rate_limit: limits the request rate; None for no limit.
        declined: explicitly disabled protection: sections that are present and empty, or a ``client_auth_type``.
        notes: settings that are not supported, one sentence each.
        path: its file.
        files: its file, and the files that it names.
    """

    tls: ServerContext | None = None
    authentication: Authentication | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    rate_limit: RateLimit | None = None
    declined: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    path: Path | None = None
    files: tuple[Path, ...] = ()


class Reading:
    """Reads a web configuration once.

    Args:
        path: the file; None for an empty configuration.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._notes: list[str] = []
        self.files = [path] if path else []
        """The files that were read, or could not be read."""

    def config(self) -> WebConfig:
        """Return the configuration.

        Raises:
            ConfigError: it is invalid; the message says where, and never shows a secret.
        """
        if self._path is None:
            return WebConfig()
        known = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
        sections = self._mapping(self._compose(self._path), "", known)
        headers = self._headers(sections.get("http_server_config"))
        users = self._users(sections.get("basic_auth_users"))
        tls = self._tls(sections.get("tls_server_config"))
        return WebConfig(
            tls=tls,
            authentication=Authentication(users) if users else None,
            headers=headers,
            rate_limit=self._rate_limit(sections.get("rate_limit")),
            declined=self._declined(sections),
            notes=tuple(self._notes),
            path=self._path,
            files=tuple(self.files),
        )

    def _declined(self, sections: Mapping[str, "Node"]) -> frozenset[str]:
        empty = {name for name, node in sections.items() if node.tag.endswith(":map") and not node.value}
        tls = sections.get("tls_server_config")
        return frozenset(empty | self._mapping(tls, "tls_server_config", None).keys() & {"client_auth_type"})

    def _compose(self, path: Path) -> "Node | None":
        # Imported late: most installations have no web configuration.
        import yaml  # noqa: PLC0415

        try:
            text = read_regular(path).decode("utf-8")
            refuse_deep_nesting(text.encode(), yaml.SafeLoader)
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except OSError as error:
            raise ConfigError(f"cannot read the web configuration {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text") from error
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from error
        except yaml.YAMLError as error:
            # Omit the parser's context, which may hold a secret.
            mark = getattr(error, "problem_mark", None)
            where = f":{mark.line + 1}" if mark else ""
            raise ConfigError(f"{path}{where}: is not YAML") from None

    def _tls(self, node: "Node | None") -> ServerContext | None:
        strings = {"cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file"}
        strings |= {"client_auth_type", "min_version", "max_version"}
        lists = {"client_allowed_sans", "cipher_suites", "curve_preferences"}
        found = self._mapping(node, "tls_server_config", [*strings, *lists, "prefer_server_cipher_suites"])
        texts = {name: self._text(pair, name) for name, pair in found.items() if name in strings}
        config = TLSConfig(
            certificate=self._pem("cert", texts),
            key=self._pem("key", texts),
            client_ca=self._pem("client_ca", texts),
            client_auth_type=texts.get("client_auth_type", ""),
            client_allowed_sans=self._texts(found.get("client_allowed_sans"), "client_allowed_sans"),
            min_version=texts.get("min_version", ""),
            max_version=texts.get("max_version", ""),
            cipher_suites=self._texts(found.get("cipher_suites"), "cipher_suites"),
            prefer_server_cipher_suites=self._flag(found, "prefer_server_cipher_suites", default=True),
            curve_preferences=self._texts(found.get("curve_preferences"), "curve_preferences"),
        )
        try:
            return config.context(self._note)
        except ConfigError as error:
            raise ConfigError(f"{self._path}: tls_server_config: {error}") from error

    def _pem(self, name: str, texts: Mapping[str, str]) -> bytes:
        inline, file = texts.get(name, ""), texts.get(f"{name}_file", "")
        if inline and file:
            raise ConfigError(f"{self._path}: tls_server_config has both {name} and {name}_file; leave one away")
        if not file:
            return inline.encode()
        assert self._path is not None
        path = self._path.parent / file
        self.files.append(path)
        try:
            return read_regular(path)
        except OSError as error:
            raise ConfigError(f"{self._path}: {name}_file {str(path)!r} cannot be read: {error.strerror}") from error

    def _headers(self, node: "Node | None") -> dict[str, str]:
        found = self._mapping(node, "http_server_config", ("http2", "headers"))
        if self._flag(found, "http2", default=False):
            self._note("http2 is not honoured; HTTP/1.1 is spoken")
        headers = {}
        for name, header in self._mapping(found.get("headers"), "headers", _HEADERS).items():
            value, allowed = self._text(header, name), _HEADERS[name]
            if value and allowed and value not in allowed:
                self._refuse(header, f"{name} takes {' or '.join(allowed)}")
            if not value.isprintable() or not value.isascii():
                self._refuse(header, f"{name} takes one line of ASCII")
            # An empty value removes the default header.
            if value or name == "Strict-Transport-Security":
                headers[name] = value
        return headers

    def _rate_limit(self, node: "Node | None") -> RateLimit | None:
        found = self._mapping(node, "rate_limit", ("interval", "burst"))
        texts = {name: self._text(number, name) for name, number in found.items()}
        try:
            interval = DURATION.parse(texts.get("interval", "0"))
            burst = NUMBER.parse(texts.get("burst", "0"))
        except ValueError as error:
            assert node
            self._refuse(node, f"a value of rate_limit {error}")
        if interval and burst < 1 and node:
            self._refuse(node, "rate_limit with a burst below 1 would refuse every request")
        return RateLimit(interval, burst) if interval else None

    def _users(self, node: "Node | None") -> dict[str, bytes]:
        users = {}
        for name, user in self._mapping(node, "basic_auth_users", None).items():
            value = self._text(user, f"the password of {name!r}")
            if not re.fullmatch(_BCRYPT, value):
                self._refuse(
                    user, f"the password of {name!r} is not hashed with bcrypt, as by: htpasswd -nBC 10 {name}"
                )
            users[name] = value.encode()
        return users

    def _mapping(self, node: "Node | None", what: str, known: Iterable[str] | None) -> dict[str, "Node"]:
        if node is None or node.tag.endswith(":null"):
            return {}
        if not node.tag.endswith(":map"):
            self._refuse(node, f"{what or 'a web configuration'} is made of keys and values")
        names, found = None if known is None else list(known), dict[str, "Node"]()
        for key, value in node.value:
            name = self._text(key, "a key")
            if names is not None and name not in names:
                place = f" in {what}" if what else ""
                hint = did_you_mean(name, names) or f"; there are {', '.join(sorted(names))}"
                self._refuse(key, f"unknown key '{name}'{place}{hint}")
            if name in found:
                self._refuse(key, f"'{name}' is there twice")
            found[name] = value
        return found

    def _text(self, node: "Node", what: str) -> str:
        if not isinstance(node.value, str):
            self._refuse(node, f"{what} is a text")
        return "" if node.tag.endswith(":null") else str(node.value)

    def _texts(self, node: "Node | None", what: str) -> tuple[str, ...]:
        if node is None or node.tag.endswith(":null"):
            return ()
        if not node.tag.endswith(":seq"):
            self._refuse(node, f"{what} is a list")
        return tuple(self._text(pair, f"an item of {what}") for pair in node.value)

    def _flag(self, found: Mapping[str, "Node"], name: str, *, default: bool) -> bool:
        if name not in found:
            return default
        text = self._text(found[name], name).lower()
        if text not in ("true", "false"):
            self._refuse(found[name], f"{name} is true or false")
        return text == "true"

    def _note(self, note: str) -> None:
        self._notes.append(f"{self._path}: {note}")

    def _refuse(self, node: "Node", reason: str) -> NoReturn:
        raise ConfigError(f"{self._path}:{node.start_mark.line + 1}: {reason}")
