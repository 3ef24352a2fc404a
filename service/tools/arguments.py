"""Parameters as an argument list that argparse reads back unchanged; never a shell's line.

    --name=value ...   --list first second   --   positional ...

A value shares its token with its option wherever it can, and positionals come after `--`, so
that no value is ever taken for an option. What cannot be written so is refused.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from service.errors import InvalidParametersError, Violation
from service.tools.conflicts import find_conflicts
from service.tools.schema import OPEN_NAME
from service.tools.signature import PLACE, Json, Kind, Parameter, Signature
from service.tools.tool import Tool

LARGEST_ARGUMENTS = 32 * 1024
"""Bytes of all arguments together."""

_NEGATIVE = re.compile(r"-[0-9]+|-[0-9]*\.[0-9]+")
"""The negative numbers that argparse, of every version, does not take for options."""


class _RefusedError(Exception):
    """The value cannot be written; the message goes on after the parameter's name."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def build_argv(tool: Tool, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the arguments to put after the tool's command, for what `validate` returned.

    A parameter that is None is left out. Raises InvalidParametersError for values that are
    valid but that the tool's command line would not take as they are.
    """
    signature = tool.signature
    options: list[str] = []
    positionals: list[str] = []
    violations: list[Violation] = []
    for name, value in _in_order(signature, parameters):
        parameter = signature.parameter(name)
        try:
            if parameter is None:
                options += _unknown(signature, name, value)
            elif parameter.is_positional:
                positionals += _positional(signature, parameter, value)
            else:
                options += _option(signature, parameter, value)
        except _RefusedError as refused:
            violations.append(Violation((*PLACE, name), refused.rule, f"{name} {refused}"))
    violations += find_conflicts(signature, parameters)
    separator = ("--",) if positionals and signature.has_separator else ()
    argv = (*options, *separator, *positionals)
    violations += _too_long(argv)
    if violations:
        raise InvalidParametersError(tool.name, violations)
    return argv


def _in_order(signature: Signature, parameters: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """Go through what is given in the order of its declaration, the unknown last."""
    declared = dict.fromkeys(known.name for known in signature.parameters)
    for name in declared | dict.fromkeys(parameters):
        if (value := parameters.get(name)) is not None:
            yield name, value


def _option(signature: Signature, parameter: Parameter, value: Json) -> list[str]:
    match parameter.kind:
        case Kind.FLAG:
            flag = parameter.flag_for(value)
            return [flag] if flag else []
        case Kind.COUNT:
            start = parameter.default if isinstance(parameter.default, int) else 0
            return [parameter.flag] * (value - start) if isinstance(value, int) else []
        case Kind.EXTEND:
            return [_token(parameter, element) for element in _elements(value)]
        case Kind.APPEND:
            return [
                token
                for element in _elements(value)
                for token in _occurrence(signature, parameter, element)
            ]
        case Kind.VALUE:
            return _occurrence(signature, parameter, value)


def _occurrence(signature: Signature, parameter: Parameter, value: Json) -> list[str]:
    """Write the option once, with all that belongs to it."""
    if parameter.takes_list:
        values = _elements(value)
        if len(values) == 1:
            return [_token(parameter, values[0])]
        return [parameter.flag, *(_detached(signature, parameter, one) for one in values)]
    if parameter.may_stand_bare and isinstance(value, bool):
        return [parameter.flag] if value else []
    return [_token(parameter, value)]


def _token(parameter: Parameter, value: Json) -> str:
    """Write option and value as one token; argparse cuts it at the first `=`.

    Short options too: of `-n=x` the value is `x`, while `-n` and `=x` together would lose the `=`.
    """
    return f"{parameter.flag}={_text(parameter, value)}"


def _detached(signature: Signature, parameter: Parameter, value: Json) -> str:
    """Write one of several values that follow their option as tokens of their own."""
    text = _text(parameter, value)
    if _looks_like_option(signature, text):
        raise _RefusedError("pattern", f"must not begin with {text[0]!r} beside other values")
    _refuse_file(signature, text)
    return text


def _positional(signature: Signature, parameter: Parameter, value: Json) -> list[str]:
    values = _elements(value) if parameter.takes_list else [value]
    texts = [_text(parameter, one) for one in values]
    for text in texts:
        _refuse_file(signature, text)
        if not signature.allows_dashes and text.startswith(tuple(signature.prefix_chars)):
            raise _RefusedError("pattern", f"must not begin with {text[0]!r}")
    return texts


def _looks_like_option(signature: Signature, text: str) -> bool:
    if not text.startswith(tuple(signature.prefix_chars)) or len(text) == 1:
        return False
    has_digit_flags = any(
        _NEGATIVE.match(flag) for known in signature.parameters for flag in known.all_flags
    )
    return has_digit_flags or not _NEGATIVE.fullmatch(text)


def _refuse_file(signature: Signature, text: str) -> None:
    """Refuse what would make argparse read its further arguments from a file."""
    if signature.file_prefixes and text.startswith(tuple(signature.file_prefixes)):
        raise _RefusedError("pattern", f"must not begin with {text[0]!r}")


def _unknown(signature: Signature, name: str, value: Json) -> list[str]:
    """Write an argument that an open tool may know and we do not."""
    if not signature.is_open or not re.fullmatch(OPEN_NAME, name):
        # Parameters that wait with their job may be older than the tool's file.
        raise _RefusedError("additionalProperties", "is not a parameter of this tool")
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    return [f"--{name}={_plain(one)}" for one in _elements(value) if one is not None]


def _text(parameter: Parameter, value: Json) -> str:
    if isinstance(value, bool):
        return parameter.true_text if value else parameter.false_text
    return _plain(value)


def _plain(value: Json) -> str:
    """Write one value; a number in full, as an exponent after a minus looks like an option."""
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    text = str(value)
    if text == "--":
        # argparse drops it, even from `--name=--`, up to Python 3.12.
        raise _RefusedError("not", "must not be a bare --, which the tool would not see")
    return text


def _elements(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _too_long(argv: tuple[str, ...]) -> list[Violation]:
    size = sum(len(argument.encode("utf-8", "surrogatepass")) + 1 for argument in argv)
    if size <= LARGEST_ARGUMENTS:
        return []
    message = f"all arguments together must be at most {LARGEST_ARGUMENTS} bytes, not {size}"
    return [Violation(PLACE, "maxLength", message)]
