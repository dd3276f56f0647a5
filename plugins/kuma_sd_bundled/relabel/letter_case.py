"""Convert to upper and lower case as Go does, rune by rune, so that a text keeps its number of runes."""


def lower(text: str) -> str:
    """Convert to lower case. Python's own depends on the letters around Σ, and gives two runes for İ."""
    return text.lower() if text.isascii() else "".join("i" if rune == "İ" else rune.lower() for rune in text)


def upper(text: str) -> str:
    """Convert to upper case. Python's own gives SS for ß."""
    return text.upper() if text.isascii() else "".join(map(_upper, text))


def _upper(rune: str) -> str:
    # If Python gives several runes, Unicode may still have a simple mapping: ᾳ has ᾼ, ß has none.
    return next((mapped for mapped in (rune.upper(), rune.title()) if len(mapped) == 1), rune)
