"""What reading bytes that somebody else made raises."""

import msgspec

from kuma_sd.core.value_limits import TooManyValuesError

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TooManyValuesError)
"""For data of another structure, text that is not UTF-8, too many levels or values: to be caught together."""
