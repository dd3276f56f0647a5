"""Warn about secrets in places where other users can read them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from kuma_sd.core.secret import MASK
from kuma_sd.settings.parsing import Effective
from kuma_sd.system.trust_rules import is_readable_by_all


def exposed(effective: Iterable[Effective], file: str | None) -> Iterator[str]:
    """Yield a sentence for each place where other users can read secrets.

    Args:
        effective: the options in effect, and where each was set.
        file: the settings file, if there is one.
    """
    secrets = [option for option in effective if MASK in option.value]
    for secret in secrets:
        if secret.origin.startswith("flag "):
            what = "what may be a secret in its query" if _is_query(secret) else "a password"
            yield f"{secret.origin} holds {what}, and others can read the command line; set it in the settings file"
    in_file = [secret for secret in secrets if file and secret.origin.startswith(f"{file}:")]
    if file and in_file and is_readable_by_all(Path(file)):
        first = in_file[0]
        what = "what may be a secret" if all(map(_is_query, in_file)) else "secrets"
        yield (
            f"{file} holds {what} ('{first.option.name}' in [{first.section}]), and every user here can read it; "
            "give it to root and the daemon's group with mode 0640"
        )


def _is_query(secret: Effective) -> bool:
    """Tell whether only the query of a URL is masked, which need not be a secret."""
    return secret.value.count(MASK) == secret.value.count(f"?{MASK}")
