"""The names a module or function binds, and what those bound once stand for."""

import ast
import math
from collections.abc import Iterable, Iterator

from service.tools.literals import NotStaticError, Value, as_list, evaluate
from service.tools.signature import Json

_WHOLE = 2**63
_LARGEST = 1000
"""Values in one default; a tool that has more must be asked, not read."""


class Scope:
    """The names of one module, or of one function within it."""

    def __init__(
        self,
        body: Iterable[ast.stmt],
        arguments: Iterable[str] = (),
        outer: "Scope | None" = None,
    ) -> None:
        self._outer = outer
        self._values: dict[str, ast.expr | None] = dict.fromkeys(arguments)
        self._known: dict[str, tuple[Value] | None] = {}
        for name, value in _bindings(body):
            # Bound twice, a name has no value that reading alone could tell.
            self._values[name] = None if name in self._values else value

    def value(self, node: ast.expr) -> Json:
        """Tell what *node* comes to, as JSON says it. Raises NotStaticError."""
        value = evaluate(node, self)
        _check_size(value)
        return _as_json(value)

    def text(self, node: ast.expr) -> str | None:
        """Tell what text *node* comes to; None when it is none, or made at run time."""
        try:
            value = self.value(node)
        except NotStaticError:
            return None
        return value if isinstance(value, str) else None

    def sequence(self, node: ast.expr) -> list[Json] | range:
        """Tell the elements of *node*; those of a dictionary are its keys.

        Raises NotStaticError.
        """
        value = evaluate(node, self)
        return value if isinstance(value, range) else [_as_json(one) for one in as_list(value)]

    def binds(self, name: str) -> bool:
        """Tell whether *name* is one of its own, not one of the scope around it."""
        return name in self._values

    def named(self, name: str, depth: int) -> Value:
        """Tell the value of *name*, in this scope or one around it. Raises NotStaticError."""
        if name not in self._values and self._outer is not None:
            return self._outer.named(name, depth)
        if name not in self._known:
            value = self._values.get(name)
            # Kept: names made of names, each used twice, would double the work at every step.
            self._known[name] = None if value is None else _told(value, self, depth)
        known = self._known[name]
        if known is None:
            raise NotStaticError
        return known[0]


def _told(node: ast.expr, scope: Scope, depth: int) -> tuple[Value] | None:
    """Tell what *node* comes to, in a tuple; None when only running the program can tell."""
    try:
        return (evaluate(node, scope, depth),)
    except NotStaticError:
        return None


def _bindings(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.expr | None]]:
    """Name all that *body* binds in its own scope, with the value where it is a plain one."""
    pending: list[ast.AST] = list(body)
    plain: set[int] = set()
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, None
                continue  # Its body binds in a scope of its own.
            case (
                ast.Assign(targets=[ast.Name(id=name) as target], value=value)
                | ast.AnnAssign(target=ast.Name(id=name) as target, value=ast.expr() as value)
            ):
                plain.add(id(target))
                yield name, value
            case ast.Name(ctx=ast.Store() | ast.Del()) if id(node) not in plain:
                yield node.id, None
            case ast.Global() | ast.Nonlocal():
                yield from ((name, None) for name in node.names)
            case ast.alias():
                yield (node.asname or node.name).partition(".")[0], None
            case _:
                pass
        pending.extend(ast.iter_child_nodes(node))


def _check_size(value: Value) -> None:
    """Refuse lists within lists that come to more than anybody would send."""
    pending, count = [value], 0
    while pending:
        one = pending.pop()
        count += 1
        if count > _LARGEST:
            raise NotStaticError
        if isinstance(one, list):
            pending.extend(one)


def _as_json(value: Value) -> Json:
    """Return *value* where JSON, and what sends it, can carry it unharmed."""
    match value:
        case list():
            return [_as_json(element) for element in value]
        case str():
            _check_text(value)
        case float() if not math.isfinite(value):
            raise NotStaticError
        case int() if not -_WHOLE <= value < _WHOLE:
            raise NotStaticError
        case dict() | range():
            raise NotStaticError
        case _:
            pass
    return value


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotStaticError from None
    if "\0" in value:
        raise NotStaticError
