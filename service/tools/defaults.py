"""Defaults and choices, brought to the type of the values a client sends."""

import math
from dataclasses import replace

from service.tools.signature import UNSET, Json, Kind, Parameter, Unset, ValueType


def fit_choices(parameter: Parameter, choices: list[Json] | range | None) -> Parameter:
    """Give *parameter* its choices; without them when they are not of its type."""
    if isinstance(choices, range):
        return _fit_range(parameter, choices)
    if not choices:
        return parameter
    fitted: list[bool | int | float | str] = []
    for choice in choices:
        known = _fit(choice, parameter.value_type)
        if isinstance(known, Unset):
            return parameter
        fitted.append(known)
    return replace(parameter, choices=tuple(dict.fromkeys(fitted)))


def _fit_range(parameter: Parameter, choices: range) -> Parameter:
    if parameter.value_type is not ValueType.INTEGER or choices.step != 1 or not choices:
        return parameter
    return replace(parameter, minimum=choices[0], maximum=choices[-1])


def fit_default(parameter: Parameter, default: Json | Unset) -> Parameter:
    """Give *parameter* its default, where it is of the type a client would send."""
    if default is None or isinstance(default, Unset):
        return parameter
    nesting = int(parameter.takes_list) + int(parameter.kind is Kind.APPEND)
    nesting = 1 if parameter.kind is Kind.EXTEND else nesting
    return replace(parameter, default=_fit_nested(default, parameter.value_type, nesting))


def _fit_nested(value: Json, wanted: ValueType, nesting: int) -> Json | Unset:
    """Bring the values in lists *nesting* deep to their type; UNSET when one cannot be."""
    if nesting == 0:
        return _fit(value, wanted)
    if not isinstance(value, list):
        return UNSET
    elements: list[Json] = []
    for element in value:
        fitted = _fit_nested(element, wanted, nesting - 1)
        if isinstance(fitted, Unset):
            return UNSET
        elements.append(fitted)
    return elements


def _fit(value: Json, wanted: ValueType) -> bool | int | float | str | Unset:  # noqa: PLR0911  # One a type.
    """Bring one value to *wanted* as the tool's own conversion would; UNSET when it cannot."""
    if isinstance(value, bool):
        return value if wanted is ValueType.BOOLEAN else UNSET
    if not isinstance(value, int | float | str):
        return UNSET
    try:
        match wanted:
            case ValueType.STRING:
                return str(value)
            case ValueType.INTEGER:
                number = int(value)
                is_same = isinstance(value, str) or number == value
                return number if is_same and abs(number) < 2**63 else UNSET
            case ValueType.NUMBER:
                number = float(value) if isinstance(value, str) else value
                return number if math.isfinite(number) else UNSET
            case ValueType.BOOLEAN:
                return UNSET
    except (ValueError, OverflowError):
        return UNSET
