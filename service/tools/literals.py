"""Expressions whose value can be told without running anything."""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from service.tools.signature import Json

_DEPTH = 40
_LENGTH = 10_000
_WHOLE = 2**63

_NUMERIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


class NotStaticError(Exception):
    """The value is made at run time."""


class Scope:
    """The names one module or function binds, with the values of those bound once."""

    def __init__(
        self,
        body: Iterable[ast.stmt],
        arguments: Iterable[str] = (),
        outer: "Scope | None" = None,
    ) -> None:
        self._outer = outer
        self._values: dict[str, ast.expr | None] = dict.fromkeys(arguments)
        for name, value in _bindings(body):
            # Bound twice, a name has no value that reading alone could tell.
            self._values[name] = None if name in self._values else value

    def value(self, node: ast.expr) -> Json:
        """Tell what *node* comes to, as JSON would say it.

        Raises NotStaticError when only running the program can tell.
        """
        return _as_json(self._evaluate(node, _DEPTH))

    def sequence(self, node: ast.expr) -> "list[Json] | range":
        """Tell the elements of *node*; those of a dictionary are its keys.

        Raises NotStaticError when only running the program can tell.
        """
        value = self._evaluate(node, _DEPTH)
        if isinstance(value, range):
            return value
        if isinstance(value, str | list | tuple | dict):
            return [_as_json(element) for element in _elements(value)]
        raise NotStaticError

    def _evaluate(self, node: ast.expr, depth: int) -> object:  # noqa: PLR0911  # One a form.
        if depth == 0:
            raise NotStaticError  # Too deep to be worth it, or names defined by each other.
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name, depth)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return [self._evaluate(element, depth - 1) for element in elements]
            case ast.Dict(keys=keys, values=values):
                return self._dictionary(keys, values, depth)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                number = _number(self._evaluate(operand, depth - 1))
                return -number if isinstance(sign, ast.USub) else number
            case ast.BinOp(left=left, op=sign, right=right):
                return _calculate(
                    self._evaluate(left, depth - 1), sign, self._evaluate(right, depth - 1)
                )
            case ast.JoinedStr(values=parts):
                return _short("".join(self._part(part, depth - 1) for part in parts))
            case ast.Call():
                return self._call(node, depth)
            case _:
                raise NotStaticError

    def _part(self, node: ast.expr, depth: int) -> str:
        """Tell one part of an f-string."""
        if not isinstance(node, ast.FormattedValue):
            return _only(str, self._evaluate(node, depth))
        if node.conversion != -1 or node.format_spec is not None:
            raise NotStaticError
        value = self._evaluate(node.value, depth)
        if not isinstance(value, str | int | float):
            raise NotStaticError
        return str(value)

    def _named(self, name: str, depth: int) -> object:
        if name not in self._values:
            if self._outer is None:
                raise NotStaticError
            return self._outer._named(name, depth)
        value = self._values[name]
        if value is None:
            raise NotStaticError
        return self._evaluate(value, depth - 1)

    def _dictionary(
        self, keys: list[ast.expr | None], values: list[ast.expr], depth: int
    ) -> dict[Any, object]:
        result: dict[Any, object] = {}
        for key, value in zip(keys, values, strict=True):
            if key is None:
                raise NotStaticError
            known = self._evaluate(key, depth - 1)
            if not isinstance(known, str | int | float | None):
                raise NotStaticError
            try:
                result[known] = self._evaluate(value, depth - 1)
            except NotStaticError:
                result[known] = NotStaticError  # The keys alone may be all that is asked for.
        return result

    def _call(self, node: ast.Call, depth: int) -> object:
        """Tell what the few calls come to that only rearrange what is there."""
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise NotStaticError
        match node.func:
            case ast.Name(id="range") if node.args:
                bounds = [self._evaluate(argument, depth - 1) for argument in node.args]
                whole = [_integer(bound) for bound in bounds]
                return range(*_triple(whole))
            case ast.Name(id="list" | "tuple" | "set" | "frozenset" | "sorted" as name) if (
                len(node.args) == 1
            ):
                elements = _elements(self._evaluate(node.args[0], depth - 1))
                return _sorted(elements) if name == "sorted" else elements
            case ast.Attribute(value=owner, attr="keys") if not node.args:
                return _elements(_only(dict, self._evaluate(owner, depth - 1)))
            case ast.Attribute(value=owner, attr="split") if not node.args:
                return _only(str, self._evaluate(owner, depth - 1)).split()
            case ast.Attribute(value=owner, attr="strip") if not node.args:
                return _only(str, self._evaluate(owner, depth - 1)).strip()
            case _:
                raise NotStaticError


def _bindings(body: Iterable[ast.stmt]) -> Iterable[tuple[str, ast.expr | None]]:
    """Name all that *body* binds in its own scope, with the value where it is a plain one."""
    pending: list[ast.AST] = list(body)
    plain: set[int] = set()
    while pending:
        node = pending.pop()
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name, None
                continue
            case ast.Lambda():
                continue
            case (
                ast.Assign(targets=[ast.Name(id=name) as target], value=value)
                | ast.AnnAssign(target=ast.Name(id=name) as target, value=ast.expr() as value)
            ):
                plain.add(id(target))
                yield name, value
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if id(node) not in plain:
                yield name, None
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from ((name, None) for name in names)
            case ast.alias(name=name, asname=asname):
                yield (asname or name).partition(".")[0], None
            case _:
                pass
        pending.extend(ast.iter_child_nodes(node))


def _as_json(value: object) -> Json:
    """Return *value* where JSON, and what sends it, can carry it unharmed."""
    match value:
        case None | bool():
            return value
        case int() if -_WHOLE <= value < _WHOLE:
            return value
        case float() if math.isfinite(value):
            return value
        case str() if value.isprintable() or _is_text(value):
            return value
        case list():
            return [_as_json(element) for element in _elements(value)]
        case _:
            raise NotStaticError


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotStaticError
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _WHOLE:
        raise NotStaticError
    return value


def _triple(bounds: list[int]) -> tuple[int, int, int]:
    match bounds:
        case [stop]:
            return 0, stop, 1
        case [start, stop]:
            return start, stop, 1
        case [start, stop, step] if step:
            return start, stop, step
        case _:
            raise NotStaticError


def _calculate(left: object, sign: ast.operator, right: object) -> object:
    if isinstance(sign, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return _short(left + right)
    if isinstance(sign, ast.Add) and isinstance(left, list) and isinstance(right, list):
        return _short(_elements(left) + _elements(right))
    compute = _NUMERIC.get(type(sign))
    a, b = _number(left), _number(right)
    if compute is None or abs(a) >= _WHOLE or abs(b) >= _WHOLE:
        raise NotStaticError
    if isinstance(sign, ast.Pow | ast.LShift) and not 0 <= b < 64:
        raise NotStaticError
    try:
        return _number(compute(a, b))
    except (ArithmeticError, TypeError):
        raise NotStaticError from None


def _elements(value: object) -> list[object]:
    if isinstance(value, range) and len(value) > _LENGTH:
        raise NotStaticError
    if isinstance(value, str | list | tuple | dict | range):
        return _short(list[object](value))
    raise NotStaticError


def _short(value: Any) -> Any:  # noqa: ANN401  # A string or a list, given back as it came.
    if len(value) > _LENGTH:
        raise NotStaticError
    return value


def _sorted(elements: list[Any]) -> list[object]:
    try:
        return sorted(elements)
    except TypeError:
        raise NotStaticError from None


def _only(kind: type[Any], value: object) -> Any:  # noqa: ANN401  # It is of the kind asked for.
    if not isinstance(value, kind):
        raise NotStaticError
    return value
