"""Declare options: name, type, default, help and secrecy of each stand once, in a frozen dataclass.

Flags, environment variables, the sample file, the documentation and all checks are derived from it.
"""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, overload

T = TypeVar("T")


class Unset(Enum):
    """The type of `REQUIRED`."""

    REQUIRED = "required"


REQUIRED: Final = Unset.REQUIRED
"""In place of a default: the option must be set."""


@dataclass(frozen=True)
class OptionType(Generic[T]):
    """The type of an option: how its values are parsed and written.

    Args:
        name: the name of its values in help texts, like ``duration``.
        parse: turns text into a value; raises ValueError with a reason that follows the value in a sentence.
        show: turns a value into text that parse() reads back.
        repeated: the text holds a list; the flag can be repeated.
        secret: its value is never shown, and it has no flag, since other users can read command lines.
        may_hold_secret: part of its value may be a secret: no message quotes it, and show() masks that part.
        choices: the only words that are accepted; empty if any text may be.
        reads_file: its value is the path of a file that is read, to which no output may write.
    """

    name: str
    parse: Callable[[str], T]
    show: Callable[[T], str] = str
    repeated: bool = False
    secret: bool = False
    may_hold_secret: bool = False
    choices: tuple[str, ...] = ()
    reads_file: bool = False


@overload
def option(
    default: Literal[Unset.REQUIRED],
    type_: OptionType[T],
    help_: str,
    *,
    at_least: T | None = None,
    at_most: T | None = None,
) -> T: ...


@overload
def option(
    default: None, type_: OptionType[T], help_: str, *, at_least: T | None = None, at_most: T | None = None
) -> T | None: ...


@overload
def option(
    default: T, type_: OptionType[T], help_: str, *, at_least: T | None = None, at_most: T | None = None
) -> T: ...


def option(default: Any, type_: OptionType[Any], help_: str, *, at_least: Any = None, at_most: Any = None) -> Any:
    """Declare a field of an options dataclass.

    Args:
        default: the value when nothing is set; None for an option that may stay unset, which is written as empty text;
            `REQUIRED` for one that must be set.
        type_: one of the types of `kuma_sd`, or one of your own.
        help_: one sentence: what it does, and its unit where the type does not say it.
        at_least: the smallest value that is accepted.
        at_most: the largest value that is accepted.
    """
    bounds = _Bounds(type_, at_least, at_most)
    # A wrong type is refused by options_of(), which can name the field.
    sentences = bounds.sentences if isinstance(type_, OptionType) else []
    help_ = " ".join([help_, *sentences, *(["Must be set."] if default is REQUIRED else [])])
    declared = {"type": dataclasses.replace(type_, parse=bounds.parse) if sentences else type_, "help": help_}
    if default is REQUIRED:
        # Only by keyword, so that it may follow fields with a default.
        return dataclasses.field(kw_only=True, metadata=declared)
    return dataclasses.field(default=default, metadata=declared)


class _Bounds(NamedTuple):
    """The smallest and the largest value of an option; None for no limit."""

    type: OptionType[Any]
    at_least: Any
    at_most: Any

    @property
    def sentences(self) -> list[str]:
        """What help says of it."""
        bounds = {"At least": self.at_least, "At most": self.at_most}
        return [f"{which} {self.type.show(bound)}." for which, bound in bounds.items() if bound is not None]

    def parse(self, text: str) -> Any:  # noqa: ANN401 (whatever its type makes)
        """Parse text into a value within the bounds.

        Raises:
            ValueError: the text is wrong, or the value is outside.
        """
        value = self.type.parse(text)
        self.check(value)
        return value

    def check(self, value: Any) -> None:  # noqa: ANN401 (any value of its type)
        """Refuse a value outside the bounds.

        Raises:
            ValueError: it is outside; the message continues a sentence that begins with the value.
        """
        if self.at_least is not None and value < self.at_least:
            raise ValueError(f"is less than {self.type.show(self.at_least)}")
        if self.at_most is not None and value > self.at_most:
            raise ValueError(f"is more than {self.type.show(self.at_most)}")


@dataclass(frozen=True)
class NoOptions:
    """The options of plugins that have none."""


class Option(NamedTuple):
    """A declared option, as returned by `options_of()`. The default of one that must be set is `REQUIRED`."""

    field: str
    type: OptionType[Any]
    default: Any
    help: str

    @property
    def name(self) -> str:
        """The name of the option in files, like ``min-interval``."""
        return self.field.replace("_", "-")

    def parse(self, text: str) -> Any:  # noqa: ANN401 (whatever its type makes)
        """Parse text into a value.

        Raises:
            ValueError: the text is wrong; the message continues a sentence that begins with the text.
        """
        if self.default is REQUIRED and not text:
            raise ValueError("is empty, but must be set")
        return None if self.default is None and not text else self.type.parse(text)

    def show(self, value: Any) -> str:  # noqa: ANN401 (any value of its type)
        """Write a value as text that parse() reads back."""
        return "" if value is None or value is REQUIRED else self.type.show(value)


def options_of(declaration: type) -> tuple[Option, ...]:
    """List what an options dataclass declares.

    Raises:
        TypeError: it is no frozen dataclass, or has a field that was not made with `option()`.
    """
    if not dataclasses.is_dataclass(declaration) or not declaration.__dataclass_params__.frozen:  # type: ignore[attr-defined] # (typeshed lacks it)
        raise TypeError(f"{declaration!r} is not a frozen dataclass")
    own = inspect.get_annotations(declaration)
    # A plugin's own options come before inherited ones.
    fields = sorted(dataclasses.fields(declaration), key=lambda field: field.name not in own)
    for field in fields:
        if "type" not in field.metadata:
            raise TypeError(f"{declaration.__name__}.{field.name} is not made with option()")
        if not isinstance(type_ := field.metadata["type"], OptionType):
            raise TypeError(f"{declaration.__name__}.{field.name} has {type_!r}, which is no OptionType")
    return tuple(
        Option(field.name, field.metadata["type"], _default(field), field.metadata["help"]) for field in fields
    )


def check_defaults(declaration: type) -> None:
    """Check that the defaults of an options dataclass are values that its options accept.

    Raises:
        TypeError: as options_of().
        ValueError: a default does not fit its type or its bounds.
    """
    for option_ in options_of(declaration):
        # The text of a secret cannot be parsed again.
        is_shown = not (option_.type.secret or option_.type.may_hold_secret)
        if is_shown and option_.default is not None and option_.default is not REQUIRED:
            fault = _fault_of(option_.type, option_.default)
            if fault:
                raise ValueError(f"the default of {declaration.__name__}.{option_.field}, {option_.default!r}, {fault}")


def _fault_of(type_: OptionType[Any], default: object) -> str:
    """Return why a default is no value of a type; empty if it is one."""
    try:
        value = type_.parse(type_.show(default))
    except ValueError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (show() may raise anything for a value of another type)
        return f"does not fit the type {type_.name}: {type(error).__name__}: {error}"
    fits = isinstance(default, type(value)) or (isinstance(value, float) and isinstance(default, int))
    return "" if fits else f"is of type {type(default).__name__}, but {type_.name} needs {type(value).__name__}"


def _default(field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401 (any value of its type)
    return REQUIRED if field.default is dataclasses.MISSING else field.default
