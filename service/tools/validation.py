"""What a client sends, checked against a tool's schema and everything a schema cannot say."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from jsonschema.exceptions import ValidationError

from service.errors import InvalidParametersError, Violation
from service.tools.arguments import build_argv
from service.tools.schema import find_breaches
from service.tools.signature import PLACE, Json
from service.tools.tool import Tool, printable

_DEEPEST = 32
_MOST_VIOLATIONS = 100
_WHOLE = 2**63

_Loc: TypeAlias = tuple[str | int, ...]


def validate(tool: Tool, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as the tool will get them: 1.0 as 1, and no None.

    Defaults are not filled in: the tool knows them best. Raises InvalidParametersError with
    all that is wrong, not only the first.
    """
    violations = list(_unsafe(PLACE, dict(parameters)))
    if violations:  # What cannot be carried safely is not looked at any further.
        raise InvalidParametersError(tool.name, violations[:_MOST_VIOLATIONS])
    given = {name: value for name, value in parameters.items() if value is not None}
    violations = [
        *_missing(tool.schema, given),
        *_unknown(tool.schema, given),
        *_wrong(tool.schema, given),
    ]
    if violations:
        raise InvalidParametersError(tool.name, violations[:_MOST_VIOLATIONS])
    known = tool.schema["properties"]
    normalised = {name: _normalise(known.get(name, {}), value) for name, value in given.items()}
    violations = list(_unsafe(PLACE, normalised))  # 1e300 is whole, and out of bounds.
    if violations:
        raise InvalidParametersError(tool.name, violations[:_MOST_VIOLATIONS])
    build_argv(tool, normalised)  # What cannot be written as arguments is refused now, not later.
    return normalised


def _unsafe(loc: _Loc, value: Json, depth: int = 0) -> Iterator[Violation]:
    """Find what JSON text can say and a command line cannot carry."""
    if depth > _DEEPEST:
        yield Violation(loc, "maxDepth", f"{_place(loc)} is nested deeper than {_DEEPEST} levels")
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _unsafe((*loc, index), element, depth + 1)
    elif isinstance(value, dict):
        for name, element in value.items():
            inner = (*loc, printable(name))
            if problem := _text_problem(name):
                yield Violation(inner, "propertyNames", f"the name {inner[-1]} {problem}")
            yield from _unsafe(inner, element, depth + 1)
    else:
        yield from _unsafe_scalar(loc, value)


def _unsafe_scalar(loc: _Loc, value: Json) -> Iterator[Violation]:
    match value:
        case str() if problem := _text_problem(value):
            yield Violation(loc, "pattern", f"{_place(loc)} {problem}", printable(value))
        case bool():
            pass
        case int() if not -_WHOLE <= value < _WHOLE:
            yield Violation(loc, "format", f"{_place(loc)} must fit in 64 bits")
        case float() if not math.isfinite(value):
            yield Violation(loc, "format", f"{_place(loc)} must be a finite number", str(value))
        case _:
            pass


def _text_problem(text: str) -> str | None:
    if "\0" in text:
        return "must not hold a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not hold a lone surrogate"
    return None


def _missing(schema: Mapping[str, Any], given: Mapping[str, Json]) -> Iterator[Violation]:
    for name in schema["required"]:
        if name not in given:
            yield Violation((*PLACE, name), "required", f"{name} is required")


def _unknown(schema: Mapping[str, Any], given: Mapping[str, Json]) -> Iterator[Violation]:
    if schema["additionalProperties"] is not False:
        return
    known = ", ".join(schema["properties"])
    hint = f"known: {known}" if known else "the tool takes none"
    for name, value in given.items():
        if name not in schema["properties"]:
            message = f"unknown parameter {printable(name)}; {hint}"
            yield Violation((*PLACE, name), "additionalProperties", message, value)


def _wrong(schema: Mapping[str, Any], given: Mapping[str, Json]) -> Iterator[Violation]:
    """Find the values that break the schema, in its order, and the names that cannot be names."""
    for error in find_breaches(schema, dict(given)):
        loc = (*PLACE, *error.absolute_path)
        if error.absolute_schema_path[0] == "propertyNames":
            name = printable(str(error.instance))
            yield Violation((*PLACE, name), "propertyNames", f"{name} cannot be a parameter's name")
        elif error.absolute_path:  # What concerns the whole is told above, name by name.
            yield Violation(loc, str(error.validator), _sentence(loc, error), error.instance)


def _sentence(loc: _Loc, error: ValidationError) -> str:
    """Say in words which rule the value breaks."""
    rule = _RULES.get(str(error.validator))
    return f"{_place(loc)} {rule(error.validator_value)}" if rule else error.message


def _place(loc: _Loc) -> str:
    """Name the place as people write it: `files[2]`."""
    inner = loc[len(PLACE) :]
    if not inner:
        return "parameters"
    return str(inner[0]) + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner[1:]
    )


_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "null": "null",
}


def _kinds(kind: str | list[str]) -> str:
    kinds = [kind] if isinstance(kind, str) else kind
    return " or ".join(_KINDS.get(one, one) for one in kinds)


def _either(choices: list[dict[str, Any]]) -> str:
    return " or ".join(_kinds(choice["type"]) for choice in choices)


def _listed(values: list[Json]) -> str:
    return ", ".join(str(value) for value in values)


def _amount(count: int) -> str:
    return "one value" if count == 1 else f"{count} values"


_RULES: Mapping[str, Callable[[Any], str]] = {
    "type": lambda kind: f"must be {_kinds(kind)}",
    "anyOf": lambda choices: f"must be {_either(choices)}",
    "enum": lambda values: f"must be one of {_listed(values)}",
    "const": lambda value: f"can only be {str(value).lower()}",
    "minimum": lambda limit: f"must be at least {limit}",
    "maximum": lambda limit: f"must be at most {limit}",
    "minItems": lambda count: f"needs at least {_amount(count)}",
    "maxItems": lambda count: f"takes at most {_amount(count)}",
}
"""How each keyword of the schemas we write is told to people."""


def _normalise(schema: Mapping[str, Any], value: Json) -> Json:
    """Write 1.0 as 1 where a whole number is meant; to JSON Schema the two are one."""
    if isinstance(value, list):
        return [_normalise(schema.get("items", {}), element) for element in value]
    kinds = [schema.get("type"), *(choice.get("type") for choice in schema.get("anyOf", []))]
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return int(value)
    return value
