"""Settings that others may have written: each field's type and range stand in its annotation, and are checked here.

@dataclass(frozen=True)
class Settings:
    steps: Annotated[int, Within(1, 10_000)] = 100

    def __post_init__(self) -> None:
        check_fields(self)

from_plain(Settings, {"steps": 2.5})  # ConfigError: steps = 2.5: a whole number from 1 to 10000 is needed
"""

import math
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_SHOWN = 60
"""Characters of a wrong value that a message repeats."""


class ConfigError(ValueError):
    """Settings that nothing can be built from; the message says which field and why."""


@dataclass(frozen=True)
class Within:
    """The range of a number. above and below leave its ends out."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        # Without arithmetic, so that a whole number beyond all floats is compared, too.
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        return f"{'above' if self.above else 'from'} {self.low} {'and below' if self.below else 'to'} {self.high}"


def check_fields(settings: Any) -> None:
    """Compares every field of a dataclass with its annotation. Raises ConfigError for the first that does not fit."""
    for name, hint in _hints(type(settings)).items():
        check_value(name, getattr(settings, name), hint)


def check_value(name: str, value: Any, hint: Any) -> None:
    """Compares one value with the annotation of a field. Raises ConfigError, which names it, when it does not fit."""
    wanted = _wanted(value, hint)
    if wanted:
        text = _text(value)
        raise ConfigError(f"{name} = {text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'}: {wanted} is needed")


def _text(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"


def from_plain(kind: type[T], data: Any, place: str = "") -> T:
    """Builds a dataclass that checks its fields from plain data, as JSON has it.

    Args:
        kind: The dataclass.
        data: Its fields by name; lists stand for tuples.
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
    hints = _hints(kind)
    values = {name: _with_tuples(value, hints[name]) for name, value in data.items()}
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{place}{error}") from error


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _with_tuples(value: Any, hint: Any) -> Any:
    """JSON has no tuples: where one is wanted, a list becomes it again."""
    return tuple(value) if get_origin(hint) is tuple and isinstance(value, list) else value


def _wanted(value: Any, hint: Any) -> str:
    """What a field wants instead of a value; empty when the value fits."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        (number, *ranges) = arguments
        text = f"{_name(number)} {' and '.join(map(str, ranges))}"
        return text if _wanted(value, number) or any(value not in one for one in ranges) else ""
    if origin is Literal:
        fits = any(type(value) is type(choice) and value == choice for choice in arguments)
        return "" if fits else f"one of {', '.join(map(str, arguments))}"
    if origin is UnionType:
        wishes = [_wanted(value, one) for one in arguments]
        return "" if "" in wishes else " or ".join(wishes)
    if origin in (tuple, list, dict):
        return _wanted_inside(value, origin, arguments)
    return "" if _is(value, hint) else _name(hint)


def _wanted_inside(value: Any, kind: Any, arguments: tuple[Any, ...]) -> str:
    if kind is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            return "an object with named fields"
        return next(filter(None, (_wanted(one, arguments[1]) for one in value.values())), "")
    if not isinstance(value, kind):
        return "a list"
    if kind is tuple and arguments[-1] is not Ellipsis and len(value) != len(arguments):
        return f"a list of {len(arguments)}"
    return next((f"a list with {wish} in each place" for wish in _wishes(value, arguments) if wish), "")


def _wishes(values: Any, arguments: tuple[Any, ...]) -> Iterator[str]:
    for index, one in enumerate(values):
        yield _wanted(one, arguments[0] if len(arguments) == 1 or arguments[-1] is Ellipsis else arguments[index])


def _is(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(_as_float(value))
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _name(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "nothing"}
    return names.get(kind, str(kind))
