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
    fitted = [_fit(choice, parameter.value_type) for choice in choices]
    if UNSET in fitted:
        return parameter
    return replace(parameter, choices=tuple(dict.fromkeys(fitted)))  # type: ignore[arg-type]


def _fit_range(parameter: Parameter, choices: range) -> Parameter:
    if parameter.value_type is not ValueType.INTEGER or choices.step != 1 or not choices:
        return parameter
    return replace(parameter, minimum=choices[0], maximum=choices[-1])


def fit_default(parameter: Parameter, default: Json | Unset) -> Parameter:
    """Give *parameter* its default, where a client could send the same value itself.

    argparse holds a default to neither type nor choices; one that breaks them is the tool's own
    sign for "not given", and is left out.
    """
    if default is None or isinstance(default, Unset):
        return parameter
    return replace(parameter, default=_fit_nested(parameter, default, _nesting(parameter)))


def _nesting(parameter: Parameter) -> int:
    """Tell how many lists deep the values are."""
    repeats = parameter.kind is Kind.APPEND
    return int(parameter.takes_list) + int(repeats)


def _fit_nested(parameter: Parameter, value: Json, nesting: int) -> Json | Unset:
    if nesting == 0:
        fitted = _fit(value, parameter.value_type)
        return fitted if _is_allowed(parameter, fitted) else UNSET
    if not isinstance(value, list):
        return UNSET
    if nesting == 1 and isinstance(parameter.nargs, int) and len(value) != parameter.nargs:
        return UNSET
    if nesting == 1 and parameter.nargs == "+" and not value:
        return UNSET
    elements: list[Json] = []
    for element in value:
        fitted = _fit_nested(parameter, element, nesting - 1)
        if isinstance(fitted, Unset):
            return UNSET
        elements.append(fitted)
    return elements


def _is_allowed(parameter: Parameter, value: Json | Unset) -> bool:
    if parameter.choices is not None and value not in parameter.choices:
        return False
    if parameter.minimum is not None and parameter.maximum is not None:
        return isinstance(value, int) and parameter.minimum <= value <= parameter.maximum
    return True


def _fit(value: Json, wanted: ValueType) -> Json | Unset:  # noqa: PLR0911  # One a type.
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
