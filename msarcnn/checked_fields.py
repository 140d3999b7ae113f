"""Settings that others may have written: each field's type and range stand in its annotation, and are checked here.

@dataclass(frozen=True)
class Settings:
    steps: Annotated[int, within(1, 10_000)] = 100

    def __post_init__(self) -> None:
        check_fields(self)

from_plain(Settings, {"steps": 2.5})  # ConfigError: steps = 2.5: expected `int`, got `float`
"""

from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

import msgspec

T = TypeVar("T")

_SHOWN = 60
"""Characters of a wrong value that a message repeats."""


class ConfigError(ValueError):
    """Settings that nothing can be built from; the message says which field and why."""


def within(low: float, high: float, *, above: bool = False, below: bool = False) -> msgspec.Meta:
    """The range of a number. above and below leave its ends out."""
    # Both kinds of end in one call: mypy knows the names one by one only.
    ends: dict[str, Any] = {"gt" if above else "ge": low, "lt" if below else "le": high}
    return msgspec.Meta(**ends)


def check_fields(settings: Any) -> None:
    """Compares every field of a dataclass with its annotation; a list becomes a tuple, 2.0 becomes 2 where it should.

    Raises ConfigError for the first field that does not fit.
    """
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        object.__setattr__(settings, name, check_value(name, getattr(settings, name), hint))


def check_value(name: str, value: Any, hint: Any) -> Any:
    """The value as the annotation of a field wants it. Raises ConfigError, which names it, when it does not fit."""
    try:
        return msgspec.convert(value, hint)
    except (msgspec.ValidationError, OverflowError) as error:
        reason = str(error).partition(" - at `$")[0]
        raise ConfigError(f"{name} = {_text(value)}: {reason[:1].lower()}{reason[1:]}") from error


def _text(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def from_plain(kind: type[T], data: Any, place: str = "") -> T:
    """Builds a dataclass that checks its fields from plain data, as JSON has it.

    Args:
        kind: The dataclass.
        data: Its fields by name.
        place: What the error puts before the field's name, e.g. "train.".

    Raises:
        ConfigError: a field is unknown, missing or wrong.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{place.removesuffix('.') or 'the text'} is no object with named fields")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(map(str, set(data) - set(known)))
    if unknown:
        raise ConfigError(
            f"unknown fields {place}{f', {place}'.join(unknown)}: written by a newer version? Update this one"
        )
    for name, field in known.items():
        if name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{place}{name} is missing")
    try:
        return kind(**data)
    except ConfigError as error:
        raise ConfigError(f"{place}{error}") from error
