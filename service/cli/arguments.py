"""What stands after `data20 run TOOL`, read as the tool's parameters."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import UsageError

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def read_parameters(arguments: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Read `key=value`, `--key=value`, `--key value` and `--flag` by a tool's JSON Schema.

    A key given again adds to a list; of any other the last one counts. A value that does not fit
    its type stays text, and the API says what is wrong with it. Raises UsageError.
    """
    parameters: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        name, value = _take(rest, schema)
        shape = _shape(name, schema)
        if shape.get("type") == "array":
            parameters.setdefault(name, []).append(_convert(value, shape.get("items", {})))
        elif name in parameters and name not in schema["properties"]:
            # A tool that takes what we do not know of may take it often.
            earlier = parameters[name]
            parameters[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        else:
            parameters[name] = _convert(value, shape)
    return parameters


def _take(rest: list[str], schema: Mapping[str, Any]) -> tuple[str, str | bool]:
    """Take one parameter's name and value off the front of *rest*."""
    argument = rest.pop(0)
    is_option = argument.startswith("--")
    key, equals, value = argument.removeprefix("--").partition("=")
    if not key or not (equals or is_option):
        raise UsageError(f"{argument}: give parameters as key=value")
    name = key.replace("-", "_") if is_option and key not in schema["properties"] else key
    if equals:
        return name, value
    if _may_be_bare(_shape(name, schema), rest):
        return name, True
    if not rest:
        raise UsageError(f"--{key}: a value is missing; give parameters as key=value")
    return name, rest.pop(0)


def _may_be_bare(shape: Mapping[str, Any], rest: Sequence[str]) -> bool:
    """Tell whether an option stands alone: a flag does, and what may is followed by an option."""
    if shape.get("type") == "boolean":
        return True
    is_last = not rest or rest[0].startswith("--")
    return is_last and (not shape or any(each.get("type") == "boolean" for each in _any_of(shape)))


def _shape(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of one parameter; an empty one for a name that an open tool may know."""
    properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
    if name in properties:
        return properties[name]
    if schema.get("additionalProperties", False) is not False:
        return {}
    known = f"it takes {', '.join(properties)}" if properties else "it takes none"
    raise UsageError(f"The tool has no parameter {name}; {known}")


def _convert(value: str | bool, shape: Mapping[str, Any]) -> Any:  # noqa: ANN401, FBT001  # JSON.
    """Return *value* in the type its schema names, or as it is when it does not fit."""
    if isinstance(value, bool):
        return value
    if "enum" in shape:
        for choice in shape["enum"]:
            if value == choice or value == json.dumps(choice):
                return choice
    for each in (shape, *_any_of(shape)):
        found = _as_type(value, each.get("type"))
        if found is not None:
            return found
    return value


def _as_type(text: str, kind: object) -> str | float | bool | None:
    """Return *text* as a value of JSON Schema's type *kind*; None when it is none of them."""
    try:
        match kind:
            case "integer":
                return int(text)
            case "number":
                number = float(text)
                return number if math.isfinite(number) else None
            case "boolean" if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            case "string":
                return text
            case _:
                return None
    except ValueError:
        return None


def _any_of(shape: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return shape.get("anyOf", ())
