"""Escape what JSON allows and YAML does not, so that a line of JSON is also a line of YAML."""

import re

# Strict YAML readers refuse these characters or read them as line ends (go-yaml v2 in Prometheus).
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")

_DELETE = 0x7F
"""The code of DEL, the only such character in ASCII."""


def as_yaml(line: bytes) -> bytes:
    """Escape a line of JSON so that it is also YAML with the same meaning."""
    return line if line.isascii() and _DELETE not in line else _escaped(line)


def _escaped(line: bytes) -> bytes:
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()
