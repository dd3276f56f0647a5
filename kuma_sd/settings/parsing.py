"""From the texts that are set to the values that are in effect."""

from typing import Any, NamedTuple, TypeVar

from kuma_sd.core.errors import ConfigError, Mistakes
from kuma_sd.core.options import Option, options_of
from kuma_sd.core.secret import MASK
from kuma_sd.settings.instances import Text
from kuma_sd.settings.precedence import Texts
from kuma_sd.settings.schema import CORE

T = TypeVar("T")


class Effective(NamedTuple):
    """The value of an option that is in effect.

    Args:
        section: ``kuma-sd`` or an instance's name.
        option: what was declared.
        value: as text; a secret is masked.
        origin: where it was set, like ``/etc/kuma-sd.conf:12``, ``environment KUMA_SD_NAME``, ``flag --name``
            or ``default``.
    """

    section: str
    option: Option
    value: str
    origin: str


class Values:
    """Parses options and remembers where each value is from.

    Args:
        texts: what is set.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self.effective: list[Effective] = []

    def read(self, declaration: type[T], section: str, *, inherited: bool = False) -> T:
        """Make an options dataclass of a section.

        Args:
            declaration: the dataclass.
            section: where its options stand.
            inherited: whether those that do not stand there are taken from [kuma-sd].

        Raises:
            ConfigError: values are wrong, or do not fit together.
        """
        mistakes = Mistakes()
        values = {
            option.field: mistakes.attempt(self.value, option, section, inherited=inherited)
            for option in options_of(declaration)
        }
        mistakes.check()
        try:
            return declaration(**values)
        except (ValueError, ConfigError) as error:
            raise ConfigError(f"[{section}]: {error}") from error

    def value(self, option: Option, section: str, *, inherited: bool = False) -> Any:  # noqa: ANN401 (any type's)
        """Return the value of one option; the arguments are those of `read`.

        Raises:
            ConfigError: it is wrong; the message says where, and never shows a secret.
        """
        places = [section, CORE] if inherited else [section]
        found = next((place for place in places if (place, option.name) in self._texts), None)
        if found is None:
            self._remember(section, option, option.show(option.default), "default")
            return option.default
        text = self._texts[found, option.name]
        value = _parse(option, text, found)
        self._remember(section, option, option.show(value), text.origin)
        return value

    def _remember(self, section: str, option: Option, shown: str, origin: str) -> None:
        masked = MASK if option.type.secret and shown else shown
        self.effective.append(Effective(section, option, masked, origin))


def _parse(option: Option, text: Text, section: str) -> Any:  # noqa: ANN401 (whatever its type makes)
    try:
        return option.parse(text.value)
    except ValueError as error:
        # Flags and variables say which option it is; a line of a file does not.
        where = "" if text.origin.startswith(("flag ", "environment ")) else f" {option.name} in [{section}]:"
        # A further line may be another option that is indented by mistake, and a secret.
        is_guarded = option.type.secret or option.type.may_hold_secret
        is_guarded = is_guarded or ("\n" in text.value and not option.type.repeated)
        what = "its value" if is_guarded else repr(text.value)
        # Without the context: that of a secret's error could show the secret.
        raise ConfigError(f"{text.origin}:{where} {what} {error}") from (None if is_guarded else error)
