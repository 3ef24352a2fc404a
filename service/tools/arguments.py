"""Parameters as an argument list that argparse reads back unchanged; never a shell's line.

    --name=value ...   --list first second   --   positional ...

A value shares its token with its option wherever it can, and positionals come after `--`, so
that no value is ever taken for an option. What cannot be written so is refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from service.errors import InvalidParametersError, Violation
from service.tools.signature import Kind, Parameter, Signature
from service.tools.tool import Tool

PLACE = ("body", "parameters")
"""Where a client finds its parameters, for the start of every `Violation.loc`."""

LARGEST_ARGUMENTS = 32 * 1024
"""Bytes of all arguments together."""

_NEGATIVE = re.compile(r"-[0-9]+|-[0-9]*\.[0-9]+")
"""The negative numbers that argparse, of every version, does not take for options."""
_PATTERNS = {None: "A", "?": "A?", "*": "A*", "+": "A+"}


class _RefusedError(Exception):
    """A value that cannot be written; carries the violation."""

    def __init__(self, name: str, rule: str, message: str) -> None:
        super().__init__(message)
        self.violation = Violation((*PLACE, name), rule, message)


def build_argv(tool: Tool, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the arguments to put after the tool's command, for parameters already valid.

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
                options += _unknown(name, value)
            elif parameter.is_positional:
                positionals += _positional(signature, parameter, value)
            else:
                options += _option(signature, parameter, value)
        except _RefusedError as refused:
            violations.append(refused.violation)
    violations += _misplaced(signature, parameters)
    violations += _excluded(signature, parameters)
    argv = (*options, *(("--",) if positionals and signature.has_separator else ()), *positionals)
    size = sum(len(argument.encode("utf-8", "surrogatepass")) + 1 for argument in argv)
    if size > LARGEST_ARGUMENTS:
        message = f"all arguments together must be at most {LARGEST_ARGUMENTS} bytes, not {size}"
        violations.append(Violation(PLACE, "maxLength", message))
    if violations:
        raise InvalidParametersError(tool.name, violations)
    return argv


def _in_order(signature: Signature, parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Go through what is given in the order of its declaration, the unknown last."""
    for known in signature.parameters:
        if parameters.get(known.name) is not None:
            yield known.name, parameters[known.name]
    known_names = {known.name for known in signature.parameters}
    for name, value in parameters.items():
        if name not in known_names and value is not None:
            yield name, value


def _option(signature: Signature, parameter: Parameter, value: Any) -> list[str]:  # noqa: ANN401
    match parameter.kind:
        case Kind.FLAG:
            flag = _flag(parameter, value)
            return [flag] if flag else []
        case Kind.COUNT:
            start = parameter.default if isinstance(parameter.default, int) else 0
            return [parameter.flag] * (value - start)
        case Kind.EXTEND:
            return [_token(parameter, element) for element in value]
        case Kind.APPEND:
            tokens: list[str] = []
            for element in value:
                tokens += _occurrence(signature, parameter, element)
            return tokens
        case Kind.VALUE:
            return _occurrence(signature, parameter, value)


def _occurrence(signature: Signature, parameter: Parameter, value: Any) -> list[str]:  # noqa: ANN401
    """Write the option once, with all that belongs to it."""
    if parameter.takes_list:
        if len(value) == 1:
            return [_token(parameter, value[0])]
        return [parameter.flag, *(_detached(signature, parameter, one) for one in value)]
    if parameter.may_stand_bare and isinstance(value, bool):
        return [parameter.flag] if value else []
    return [_token(parameter, value)]


def _token(parameter: Parameter, value: Any) -> str:  # noqa: ANN401
    """Write option and value as one token; argparse cuts it at the first `=`.

    Short options too: of `-n=x` the value is `x`, while `-n` and `=x` together would lose the `=`.
    """
    return f"{parameter.flag}={_text(parameter, value)}"


def _detached(signature: Signature, parameter: Parameter, value: Any) -> str:  # noqa: ANN401
    """Write one of several values that follow their option as tokens of their own."""
    text = _text(parameter, value)
    if _looks_like_option(signature, text):
        raise _RefusedError(
            parameter.name,
            "pattern",
            f"{parameter.name}: one of several values must not begin with {text[0]!r}",
        )
    _refuse_file(signature, parameter, text)
    return text


def _positional(signature: Signature, parameter: Parameter, value: Any) -> list[str]:  # noqa: ANN401
    values: Sequence[Any] = value if parameter.takes_list else [value]
    texts = [_text(parameter, one) for one in values]
    for text in texts:
        _refuse_file(signature, parameter, text)
        if not signature.allows_dashes and text[:1] in tuple(signature.prefix_chars):
            raise _RefusedError(
                parameter.name,
                "pattern",
                f"{parameter.name} must not begin with {text[0]!r}",
            )
    return texts


def _looks_like_option(signature: Signature, text: str) -> bool:
    if text[:1] not in tuple(signature.prefix_chars) or len(text) == 1:
        return False
    has_digit_flags = any(
        _NEGATIVE.fullmatch(flag)
        for known in signature.parameters
        for flag in (known.flag, *(flag for _, flag in known.constants))
    )
    return has_digit_flags or not _NEGATIVE.fullmatch(text)


def _refuse_file(signature: Signature, parameter: Parameter, text: str) -> None:
    """Refuse what would make argparse read its further arguments from a file."""
    if text[:1] and text[0] in signature.file_prefixes:
        raise _RefusedError(
            parameter.name, "pattern", f"{parameter.name} must not begin with {text[0]!r}"
        )


def _unknown(name: str, value: Any) -> list[str]:  # noqa: ANN401
    """Write an argument that an open tool may know and we do not."""
    if isinstance(value, list):
        return [f"--{name}={_plain(one)}" for one in value if one is not None]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    text = _plain(value)
    if text == "--":
        raise _RefusedError(name, "not", f"{name} must not be a bare --, which would get lost")
    return [f"--{name}={text}"]


def _text(parameter: Parameter, value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return parameter.true_text if value else parameter.false_text
    text = _plain(value)
    if text == "--":
        # argparse drops it, even from `--name=--`, up to Python 3.12.
        raise _RefusedError(
            parameter.name, "not", f"{parameter.name} must not be a bare --, which would get lost"
        )
    return text


def _plain(value: Any) -> str:  # noqa: ANN401
    """Write one value; a number in full, as an exponent after a minus looks like an option."""
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return str(value)


def _flag(parameter: Parameter, value: Any) -> str | None:  # noqa: ANN401
    """Return the flag that says *value*; None when leaving it out says the same."""
    if not parameter.is_required and _same(parameter.default, value):
        return None
    return next((flag for known, flag in parameter.constants if _same(known, value)), None)


def _same(one: object, other: object) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _misplaced(signature: Signature, parameters: Mapping[str, Any]) -> list[Violation]:
    """Find the positionals that would receive each other's values.

    argparse deals the positional values out by a regular expression, the leftmost first and
    greedily; this repeats it and compares.
    """
    declared = signature.positionals
    counts = [_count(known, parameters.get(known.name)) for known in declared]
    pattern = "".join(f"({_pattern(known)})" for known in declared)
    dealt = re.fullmatch(pattern, "A" * sum(counts))
    if dealt is None:
        return []  # Too few or too many: the schema's rules have said so already.
    return [
        Violation(
            (*PLACE, known.name),
            "dependentRequired",
            f"{known.name} cannot be given without all of {_names_before(declared, known)}",
        )
        for known, count, group in zip(declared, counts, dealt.groups(), strict=True)
        if count and len(group) != count
    ]


def _count(parameter: Parameter, value: Any) -> int:  # noqa: ANN401
    if value is None:
        return 0
    return len(value) if parameter.takes_list else 1


def _pattern(parameter: Parameter) -> str:
    if isinstance(parameter.nargs, int):
        return "A" * parameter.nargs
    return _PATTERNS[parameter.nargs]


def _names_before(declared: Sequence[Parameter], parameter: Parameter) -> str:
    names = [known.name for known in declared]
    return ", ".join(names[: names.index(parameter.name)]) or "the others"


def _excluded(signature: Signature, parameters: Mapping[str, Any]) -> list[Violation]:
    """Find the parameters that exclude each other, and the groups of which one must be given."""
    violations: list[Violation] = []
    for exclusion in signature.exclusions:
        given = [name for name in exclusion.names if _is_given(signature, parameters, name)]
        if len(given) > 1:
            message = f"{' and '.join(given)} exclude each other"
            violations += [Violation((*PLACE, name), "oneOf", message) for name in given]
        elif not given and exclusion.is_required:
            message = f"one of {', '.join(exclusion.names)} is required"
            violations.append(Violation(PLACE, "oneOf", message))
    return violations


def _is_given(signature: Signature, parameters: Mapping[str, Any], name: str) -> bool:
    """Tell whether the parameter will stand on the command line."""
    parameter, value = signature.parameter(name), parameters.get(name)
    if parameter is None or value is None:
        return False
    if parameter.kind is Kind.FLAG:
        return _flag(parameter, value) is not None
    return value != [] and value is not False
