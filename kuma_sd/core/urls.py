"""URLs, where people see them."""

import re

_USER_INFO = re.compile(r"(?<=//)[^/@\s]*@")


def masked(text: str) -> str:
    """Return a text that holds URLs without what could be a password in them."""
    return _USER_INFO.sub("********@", text)
