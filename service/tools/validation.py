"""What a client sends, checked against a tool's schema and everything it cannot say."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from service.errors import InvalidParametersError, Violation
from service.tools.arguments import PLACE, build_argv
from service.tools.tool import Tool, printable

_DEEPEST = 32
_MOST_VIOLATIONS = 100
_WHOLE = 2**63


def validate(tool: Tool, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as the tool will get them: 1.0 as 1, and no None.

    Defaults are not filled in: the tool knows them best. Raises InvalidParametersError with
    all that is wrong, not only the first.
    """
    violations = list(_unsafe(PLACE, dict(parameters)))
    if violations:  # What cannot be carried safely is not looked at any further.
        raise InvalidParametersError(tool.name, violations[:_MOST_VIOLATIONS])
    schema = tool.schema
    given = {name: value for name, value in parameters.items() if value is not None}
    violations = [*_missing(schema, given), *_unknown(schema, given), *_wrong(schema, given)]
    if violations:
        raise InvalidParametersError(tool.name, violations[:_MOST_VIOLATIONS])
    normalised = {
        name: _normalise(schema["properties"].get(name, {}), value) for name, value in given.items()
    }
    build_argv(tool, normalised)  # What cannot be written as arguments is refused now, not later.
    return normalised


def _unsafe(loc: tuple[str | int, ...], value: Any, depth: int = 0) -> Iterator[Violation]:  # noqa: ANN401
    """Find what JSON text can say and a command line cannot carry."""
    where = _place(loc)
    if depth > _DEEPEST:
        yield Violation(loc, "maxDepth", f"{where} is nested deeper than {_DEEPEST} levels")
        return
    match value:
        case str():
            if problem := _unsafe_text(value):
                yield Violation(loc, "pattern", f"{where} {problem}", printable(value))
        case bool() | None:
            pass
        case int() if not -_WHOLE <= value < _WHOLE:
            yield Violation(loc, "format", f"{where} must fit in 64 bits")
        case float() if not math.isfinite(value):
            yield Violation(loc, "format", f"{where} must be a finite number", str(value))
        case list():
            for index, element in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
                yield from _unsafe((*loc, index), element, depth + 1)
        case dict():
            for key, element in value.items():  # pyright: ignore[reportUnknownVariableType]
                yield from _unsafe_entry(loc, str(key), element, depth)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            pass


def _unsafe_entry(
    loc: tuple[str | int, ...], key: str, value: object, depth: int
) -> Iterator[Violation]:
    if problem := _unsafe_text(key):
        yield Violation(
            (*loc, printable(key)), "propertyNames", f"the name {printable(key)} {problem}"
        )
    yield from _unsafe((*loc, printable(key)), value, depth + 1)


def _unsafe_text(text: str) -> str | None:
    if "\0" in text:
        return "must not hold a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not hold a lone surrogate"
    return None


def _missing(schema: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Violation]:
    for name in schema["required"]:
        if name not in given:
            yield Violation((*PLACE, name), "required", f"{name} is required")


def _unknown(schema: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Violation]:
    if schema["additionalProperties"] is not False:
        return
    known = ", ".join(schema["properties"])
    hint = f"known: {known}" if known else "the tool takes none"
    for name, value in given.items():
        if name not in schema["properties"]:
            loc, message = (*PLACE, name), f"unknown parameter {printable(name)}; {hint}"
            yield Violation(loc, "additionalProperties", message, value)


def _wrong(schema: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Violation]:
    """Find the values that break the schema, in the order they were given."""
    for error in Draft202012Validator(schema).iter_errors(given):
        if not error.absolute_path and error.validator in {"required", "additionalProperties"}:
            continue  # Told above, name by name.
        loc = (*PLACE, *error.absolute_path)
        value = None if loc == PLACE else error.instance
        yield Violation(loc, str(error.validator), _sentence(loc, error), value)


def _sentence(loc: tuple[str | int, ...], error: ValidationError) -> str:
    """Say in words which rule the value breaks."""
    where, limit = _place(loc), error.validator_value
    match error.validator:
        case "type":
            return f"{where} must be {_kinds(limit)}"
        case "enum":
            return f"{where} must be one of {', '.join(str(one) for one in limit)}"
        case "const":
            return f"{where} can only be {str(limit).lower()}"
        case "minimum":
            return f"{where} must be at least {limit}"
        case "maximum":
            return f"{where} must be at most {limit}"
        case "minItems":
            return f"{where} needs at least {_values(limit)}"
        case "maxItems":
            return f"{where} takes at most {_values(limit)}"
        case "anyOf" if error.absolute_schema_path[0] == "propertyNames":
            return f"{printable(str(error.instance))} cannot be the name of a parameter"
        case "anyOf":
            kinds = [one["type"] for one in limit if "type" in one]
            return f"{where} must be {' or '.join(_kinds(kind) for kind in kinds)}"
        case _:
            return f"{where}: {error.message}"


def _place(loc: tuple[str | int, ...]) -> str:
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


def _values(count: int) -> str:
    return "one value" if count == 1 else f"{count} values"


def _normalise(schema: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401
    """Write 1.0 as 1 where a whole number is meant; to JSON Schema the two are one."""
    if isinstance(value, list):
        items = schema.get("items", {})
        return [_normalise(items, element) for element in value]  # pyright: ignore[reportUnknownVariableType]
    kinds = [schema, *schema.get("anyOf", [])]
    if isinstance(value, float) and any(one.get("type") == "integer" for one in kinds):
        return int(value)
    return value
