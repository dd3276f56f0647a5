"""What the headers of the page's responses forbid browsers: frames, foreign scripts, caching."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    # With no-referrer, the default of other responses, browsers omit the origin of the page's own forms.
    "Referrer-Policy": "same-origin",
}
