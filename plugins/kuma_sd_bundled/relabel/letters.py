"""Upper and lower case as Go has them, rune by rune, so that a text keeps its number of runes."""


def lower(text: str) -> str:
    """Make all lower case. Python itself looks around a Σ, and makes two runes of İ."""
    return text.lower() if text.isascii() else "".join("i" if rune == "İ" else rune.lower() for rune in text)


def upper(text: str) -> str:
    """Make all upper case. Python itself makes SS of ß."""
    return text.upper() if text.isascii() else "".join(map(_upper, text))


def _upper(rune: str) -> str:
    # Where Python has several, one of them may still be what Unicode calls the simple mapping: ᾳ has ᾼ, ß has none.
    return next((mapped for mapped in (rune.upper(), rune.title()) if len(mapped) == 1), rune)
