"""What msgspec raises for bytes that somebody else made."""

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""For data of another structure, text that is not UTF-8, and data nested too deeply: to be caught together."""
