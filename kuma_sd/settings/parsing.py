"""Parse the texts of settings into values."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from kuma_sd.core.errors import ConfigError, Mistakes
from kuma_sd.core.options import REQUIRED, Option, options_of
from kuma_sd.core.secret import MASK
from kuma_sd.settings.instances import DEFAULT, Text
from kuma_sd.settings.precedence import Texts
from kuma_sd.settings.schema import CORE, Declaration

T = TypeVar("T")


class Effective(NamedTuple):
    """The effective value of an option.

    Args:
        section: ``kuma-sd`` or an instance's name.
        option: the option's declaration.
        value: as text; a secret is masked.
        origin: where it was set, like ``/etc/kuma-sd.conf:12``, ``environment KUMA_SD_NAME``, ``flag --name``
            or ``default``.
    """

    section: str
    option: Option
    value: str
    origin: str


class Values:
    """Parses options and records the origin of each value.

    Args:
        texts: the texts that are set.
        places: where each section stands.
    """

    def __init__(self, texts: Texts, places: Mapping[str, str] | None = None) -> None:
        self._texts = texts
        self.places = places or {}
        self.effective: list[Effective] = []

    def read(self, declaration: type[T], section: str, *, inherited: bool = False) -> T:
        """Create the options dataclass of a section.

        Args:
            declaration: the dataclass.
            section: the section of its options.
            inherited: whether options missing there are taken from [kuma-sd].

        Raises:
            ConfigError: values are invalid, or do not fit together.
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
            raise ConfigError(f"{self._place(section)}[{section}]: {error}") from error

    def value(self, option: Option, section: str, *, inherited: bool = False) -> Any:  # noqa: ANN401 (any type's)
        """Return the value of one option; the arguments are those of `read`.

        Raises:
            ConfigError: it is invalid; the message says where, and never shows a secret.
        """
        places = [section, CORE] if inherited else [section]
        found = next((place for place in places if (place, option.name) in self._texts), None)
        if found is None and option.default is REQUIRED:
            raise ConfigError(f"{self._place(section)}{_missing(Declaration(section, option))}")
        if found is None:
            self._remember(section, option, option.show(option.default), DEFAULT)
            return option.default
        text = self._texts[found, option.name]
        value = _parse(option, text, found)
        self._remember(section, option, option.show(value), text.origin)
        return value

    def _place(self, section: str) -> str:
        """Return where a section stands, to put in front of a message."""
        return f"{self.places[section]}: " if section in self.places else ""

    def _remember(self, section: str, option: Option, shown: str, origin: str) -> None:
        masked = MASK if option.type.secret and shown else shown
        self.effective.append(Effective(section, option, masked, origin))


def _missing(one: Declaration) -> str:
    or_flag = "" if one.option.type.secret else f", {one.flag}"
    where = f"'{one.option.name}' under [{one.section}]{or_flag} or {one.variable}"
    return f"[{one.section}]: {one.option.name} must be set, as {where}"


def _parse(option: Option, text: Text, section: str) -> Any:  # noqa: ANN401 (whatever its type makes)
    try:
        return option.parse(text.value)
    except ValueError as error:
        # The origin of a flag or variable names the option; the origin of a file's line does not.
        where = "" if text.origin.startswith(("flag ", "environment ")) else f" {option.name} in [{section}]:"
        # A continuation line may be another option, indented by mistake, with a secret.
        is_guarded = option.type.secret or option.type.may_hold_secret
        is_guarded = is_guarded or ("\n" in text.value and not option.type.repeated)
        what = "its value" if is_guarded else repr(text.value)
        # No exception context: the context of a secret's error could show the secret.
        raise ConfigError(f"{text.origin}:{where} {what} {error}") from (None if is_guarded else error)
