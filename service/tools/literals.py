"""Expressions whose value can be told without running anything."""

import ast
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

_DEPTH = 40
_LENGTH = 10_000
_WHOLE = 2**63

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = Scalar | range | list["Value"] | dict[Scalar, None]
"""A value as far as it matters here: of a dictionary only its keys are known."""


class NotStaticError(Exception):
    """Only running the program can tell the value."""


class Names(Protocol):
    """What the names in an expression stand for."""

    def named(self, name: str, depth: int) -> "Value":
        """Tell the value of *name*, whose parts may be *depth* levels deep.

        Raises NotStaticError.
        """
        ...


def evaluate(node: ast.expr, names: Names, depth: int = _DEPTH) -> Value:
    """Tell what *node* comes to. Raises NotStaticError."""
    if depth == 0:
        raise NotStaticError  # Too deep to be worth it.
    evaluation = _EVALUATIONS.get(type(node))
    if evaluation is None:
        raise NotStaticError
    return evaluation(_Evaluator(names, depth - 1), node)


class _Evaluator:
    """One level of an expression; its parts are one level deeper."""

    def __init__(self, names: Names, depth: int) -> None:
        self._names = names
        self._depth = depth

    def constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, bool | int | float | str | None):
            return node.value
        raise NotStaticError

    def name(self, node: ast.Name) -> Value:
        return self._names.named(node.id, self._depth)

    def elements(self, node: ast.List | ast.Tuple | ast.Set) -> Value:
        return [self._part(element) for element in node.elts]

    def keys(self, node: ast.Dict) -> Value:
        if None in node.keys:
            raise NotStaticError
        keys = [self._part(key) for key in node.keys if key is not None]
        return {_only_scalar(key): None for key in keys}

    def signed(self, node: ast.UnaryOp) -> Value:
        number = _number(self._part(node.operand))
        match node.op:
            case ast.USub():
                return -number
            case ast.UAdd():
                return number
            case _:
                raise NotStaticError

    def calculation(self, node: ast.BinOp) -> Value:
        return _calculate(self._part(node.left), node.op, self._part(node.right))

    def text(self, node: ast.JoinedStr) -> Value:
        parts: list[str] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.conversion != -1 or part.format_spec is not None:
                    raise NotStaticError
                part = part.value  # noqa: PLW2901  # The same part, without its braces.
            parts.append(str(_only_scalar(self._part(part))))
        return _short("".join(parts))

    def call(self, node: ast.Call) -> Value:
        """Tell what the few calls come to that only rearrange what is there."""
        if node.keywords:
            raise NotStaticError
        match node.func:
            case ast.Name(id="range"):
                return _range([_number(self._part(argument)) for argument in node.args])
            case ast.Name(id="list" | "tuple" | "set" | "frozenset") if len(node.args) == 1:
                return as_list(self._part(node.args[0]))
            case ast.Name(id="sorted") if len(node.args) == 1:
                return _sorted(as_list(self._part(node.args[0])))
            case ast.Attribute(value=owner, attr="keys" | "split" | "strip" as method) if (
                not node.args
            ):
                return _rearranged(self._part(owner), method)
            case _:
                raise NotStaticError

    def _part(self, node: ast.expr) -> Value:
        return evaluate(node, self._names, self._depth)


_EVALUATIONS: Mapping[type[ast.expr], Callable[[_Evaluator, Any], Value]] = {
    ast.Constant: _Evaluator.constant,
    ast.Name: _Evaluator.name,
    ast.List: _Evaluator.elements,
    ast.Tuple: _Evaluator.elements,
    ast.Set: _Evaluator.elements,
    ast.Dict: _Evaluator.keys,
    ast.UnaryOp: _Evaluator.signed,
    ast.BinOp: _Evaluator.calculation,
    ast.JoinedStr: _Evaluator.text,
    ast.Call: _Evaluator.call,
}

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
    ast.LShift: lambda a, b: a << b,
}


def as_list(value: Value) -> list[Value]:
    """Return the elements of *value*; a dictionary's are its keys. Raises NotStaticError."""
    if isinstance(value, list | dict | range | str) and len(value) <= _LENGTH:
        return list[Value](value)
    raise NotStaticError


def _calculate(left: Value, sign: ast.operator, right: Value) -> Value:
    if isinstance(sign, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return _short(left + right)
    if isinstance(sign, ast.Add) and isinstance(left, list) and isinstance(right, list):
        return as_list([*left, *right])
    compute = _ARITHMETIC.get(type(sign))
    a, b = _number(left), _number(right)
    if compute is None or (isinstance(sign, ast.Pow | ast.LShift) and not 0 <= b < 64):
        raise NotStaticError
    try:
        return _number(compute(a, b))
    except (ArithmeticError, TypeError):
        raise NotStaticError from None


def _number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _WHOLE:
        raise NotStaticError
    return value


def _range(bounds: list[int | float]) -> range:
    whole = [bound for bound in bounds if isinstance(bound, int)]
    if whole != bounds:
        raise NotStaticError
    try:
        numbers = range(*whole)
        len(numbers)  # Python itself cannot count the longest.
    except (TypeError, ValueError, OverflowError):
        raise NotStaticError from None
    return numbers


def _rearranged(value: Value, method: str) -> Value:
    if method == "keys" and isinstance(value, dict):
        return list[Value](value)
    if method == "split" and isinstance(value, str):
        return list[Value](value.split())
    if method == "strip" and isinstance(value, str):
        return value.strip()
    raise NotStaticError


def _sorted(values: list[Value]) -> Value:
    if all(isinstance(value, str) for value in values):
        return list[Value](sorted(str(value) for value in values))
    return list[Value](sorted(_number(value) for value in values))


def _only_scalar(value: Value) -> Scalar:
    if isinstance(value, list | dict | range):
        raise NotStaticError
    return value


def _short(text: str) -> str:
    if len(text) > _LENGTH:
        raise NotStaticError
    return text
