"""A tool's parameters as JSON Schema, draft 2020-12."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from service.tools.metadata import title_from_name
from service.tools.options import OptionsError, ParameterOptions
from service.tools.signature import Json, Kind, Parameter, Signature, Unset, ValueType

_ANY_SCALAR = {"type": ["string", "number", "boolean", "null"]}
OPEN_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,99}"
"""How an argument may be called that a tool takes without our knowing."""


def build_schema(signature: Signature, additions: Mapping[str, ParameterOptions]) -> dict[str, Any]:
    """Describe what a client may send. Raises OptionsError when *additions* do not fit."""
    for name, extra in additions.items():
        _check_addition(signature.parameter(name), name, extra)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            parameter.name: _property(parameter, additions.get(parameter.name))
            for parameter in signature.parameters
        },
        "required": [known.name for known in signature.parameters if known.is_required],
        "additionalProperties": False,
    }
    if signature.is_open:
        scalars = {"type": "array", "items": _ANY_SCALAR}
        schema["additionalProperties"] = {"anyOf": [_ANY_SCALAR, scalars]}
        known = [{"enum": list(schema["properties"])}] if schema["properties"] else []
        schema["propertyNames"] = {"anyOf": [*known, {"pattern": f"^{OPEN_NAME}$"}]}
    return schema


def _property(parameter: Parameter, extra: ParameterOptions | None) -> dict[str, Any]:
    extra = extra or ParameterOptions()
    shape = _shape(parameter, extra)
    schema = dict(shape)
    schema["title"] = extra.title or title_from_name(parameter.name)
    if parameter.description:
        schema["description"] = parameter.description
    # argparse holds a default neither to its type nor to its choices; one that breaks them is the
    # tool's own sign for "not given", which no client could send.
    if not isinstance(parameter.default, Unset) and _allows(shape, parameter.default):
        schema["default"] = parameter.default
    if extra.examples:
        schema["examples"] = list(extra.examples)
    return schema


def find_breaches(schema: Mapping[str, Any], value: Json) -> list[ValidationError]:
    """Return every way in which *value* breaks *schema*; an empty list when it does not."""
    validator: Any = Draft202012Validator(schema)  # Its stubs know no JSON within JSON.
    return list(validator.iter_errors(value))


def _allows(schema: Mapping[str, Any], value: Json) -> bool:
    return not find_breaches(schema, value)


def _shape(parameter: Parameter, extra: ParameterOptions) -> dict[str, Any]:
    match parameter.kind:
        case Kind.FLAG:
            return _flag(parameter)
        case Kind.EXTEND:
            return _list(_value(parameter, extra), 1 if parameter.nargs == "+" else 0, None)
        case Kind.APPEND:
            one = _occurrence(replace(parameter, may_stand_bare=False), extra)
            return _list(one, int(parameter.is_required), None)
        case Kind.VALUE | Kind.COUNT:
            return _occurrence(parameter, extra)


def _occurrence(parameter: Parameter, extra: ParameterOptions) -> dict[str, Any]:
    """Describe what one occurrence of the argument takes."""
    value = _value(parameter, extra)
    if isinstance(parameter.nargs, int):
        return _list(value, parameter.nargs, parameter.nargs)
    if parameter.nargs == "+":
        return _list(value, 1, None)
    if parameter.nargs == "*":
        return _list(value, 0, None)
    if parameter.may_stand_bare:
        return {"anyOf": [value, {"type": "boolean"}]}
    return value


def _list(items: dict[str, Any], least: int, most: int | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": items}
    if least:
        schema["minItems"] = least
    if most is not None:
        schema["maxItems"] = most
    return schema


def _value(parameter: Parameter, extra: ParameterOptions) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.value_type.value}
    choices = extra.enum if extra.enum is not None else parameter.choices
    if choices is not None:
        schema["enum"] = list(choices)
    minimum = parameter.minimum if extra.minimum is None else extra.minimum
    maximum = parameter.maximum if extra.maximum is None else extra.maximum
    if minimum is not None:
        schema["minimum"] = minimum
    if maximum is not None:
        schema["maximum"] = maximum
    return schema


def _flag(parameter: Parameter) -> dict[str, Any]:
    values: list[Json] = [constant for constant, _ in parameter.constants]
    default = parameter.default
    if not isinstance(default, Unset) and not _contains(values, default):
        values.append(default)
    if all(isinstance(value, str) for value in values):
        return {"type": "string", "enum": values}
    if not all(isinstance(value, bool) for value in values):
        return {"enum": values}
    if len(values) == 1 and not isinstance(default, Unset):
        return {"type": "boolean", "const": values[0]}  # The flag changes nothing.
    return {"type": "boolean"}


def _contains(values: list[Json], value: Json) -> bool:
    return any(type(known) is type(value) and known == value for known in values)


def _check_addition(parameter: Parameter | None, name: str, extra: ParameterOptions) -> None:
    """Raise OptionsError when what the script block adds does not fit the parameter."""
    where = f"[tool.data20] parameters.{name}"
    if parameter is None:
        raise OptionsError(f"{where}: the tool has no such parameter")
    if extra.minimum is not None or extra.maximum is not None:
        _check_range(parameter, where)
    for value in extra.enum or ():
        if parameter.kind is Kind.FLAG or parameter.kind is Kind.COUNT:
            raise OptionsError(f"{where}.enum: a flag has no further values")
        if not _allows({"type": parameter.value_type.value}, value):
            raise OptionsError(f"{where}.enum: {value!r} is not of type {parameter.value_type}")


def _check_range(parameter: Parameter, where: str) -> None:
    if parameter.value_type not in {ValueType.INTEGER, ValueType.NUMBER}:
        raise OptionsError(f"{where}: minimum and maximum need a parameter that is a number")
