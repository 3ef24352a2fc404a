"""The guards of the store, found in its statements, and how one is taken away for a moment.

A guard is a clause in the WHERE of an UPDATE or DELETE, or of a SELECT that locks rows for one or
reads what such a one locked, beside those that merely say which row is meant. They are looked for
in the statements themselves: who adds a guard adds a mutation.
"""

import importlib
import pkgutil
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, ClauseElement

import service.store
from service.store.prepared import Prepared
from service.store.tables import metadata

_COLUMN = re.compile(r"\b(\w+)\.(\w+)")
_WORD = re.compile(r"[a-z_]{4,}")
_KEYS = frozenset({"id", "name", "slot", "owner", "key", "job_id", "ctid"})
"""Columns that say which row is meant."""


@dataclass(frozen=True)
class Guard:
    """One clause of one statement."""

    name: str
    """Like `rescue._RESCUE lost.status`: the statement, the part of it, and what is looked at."""
    owner: Any
    """The UPDATE, DELETE or SELECT that has the clause, or the list of alternatives."""
    clause: ClauseElement
    prepared: Prepared | None
    """What keeps the statement compiled."""


def find_guards() -> dict[str, Guard]:
    """Return every guard of the store by its name."""
    found: dict[str, Guard] = {}
    for statement, prepared, root in _statements():
        for part, owner in _guarded_parts(root):
            for clause in owner._where_criteria:
                if not _is_key(clause):
                    name = f"{statement} {part}.{_label(clause)}"
                    assert name not in found, f"two guards are called {name}"
                    found[name] = Guard(name, owner, clause, prepared)
        for label, choice, clause in _alternatives(root):
            name = f"{statement} lease.{label}"
            found[name] = Guard(name, choice, clause, prepared)
    return found


@contextmanager
def without(guards: Iterable[Guard]) -> Generator[None]:
    """Run what stands within as if none of *guards* were there."""
    undo: list[tuple[Any, str, Any]] = []

    def change(target: Any, name: str, value: Any) -> None:  # noqa: ANN401  # As setattr.
        undo.append((target, name, getattr(target, name)))
        setattr(target, name, value)

    try:
        for guard in guards:
            if isinstance(guard.owner, BooleanClauseList):
                change(guard.owner, "clauses", _replaced(guard.owner.clauses, guard.clause, "OR"))
            else:
                criteria = guard.owner._where_criteria
                change(guard.owner, "_where_criteria", _replaced(criteria, guard.clause, "AND"))
            if guard.prepared is not None:
                change(guard.prepared, "_compiled", None)
        yield
    finally:
        for target, name, value in reversed(undo):
            setattr(target, name, value)


def _replaced(clauses: Iterable[Any], gone: ClauseElement, joined_by: str) -> Any:  # noqa: ANN401
    """Return *clauses* with *gone* made to say nothing; its parameters stay where they are."""
    silent = [_silenced(each, joined_by) if each is gone else each for each in clauses]
    return tuple(silent) if isinstance(clauses, tuple) else silent


def _silenced(clause: Any, joined_by: str) -> Any:  # noqa: ANN401  # SQLAlchemy's own are as wide.
    # Not sa.true(), with which the clause itself would be left out.
    if joined_by == "AND":
        return sa.or_(clause, sa.literal_column("true", sa.Boolean))
    return sa.and_(clause, sa.literal_column("false", sa.Boolean))


def _statements() -> Iterator[tuple[str, Prepared | None, ClauseElement]]:
    """Yield every statement that a module of the store keeps, with the name it has there."""
    for each in pkgutil.iter_modules(service.store.__path__):
        if each.ispkg:
            continue
        module = importlib.import_module(f"service.store.{each.name}")
        for name, value in vars(module).items():
            of_name: dict[Any, Any] = {"": value}
            if isinstance(value, dict):
                of_name = {f"[{key}]": one for key, one in cast("dict[Any, Any]", value).items()}
            for key, statement in of_name.items():
                title = f"{each.name}.{name}{key}"
                if isinstance(statement, Prepared):
                    kept: Any = statement
                    yield title, statement, kept._statement
                elif isinstance(statement, sa.Select | sa.Update | sa.Delete):
                    yield title, None, statement


def _guarded_parts(root: ClauseElement) -> Iterator[tuple[str, Any]]:
    """Yield each part of a statement that has guards, under its own name in it."""
    parts = list(_parts(root))
    names = {
        id(part.element): part.name for part in parts if isinstance(part, sa.CTE | sa.Subquery)
    }
    for part in parts:
        if _has_guards(part):
            yield names.get(id(part), "all"), part


def _has_guards(part: Any) -> bool:  # noqa: ANN401  # As above.
    froms: list[Any] = part.get_final_froms() if _is_select(part) else []
    return (
        isinstance(part, sa.Update | sa.Delete)
        or _locks(part)
        or any(_locks(getattr(each, "element", None)) for each in froms)
    )


def _is_select(part: Any) -> bool:  # noqa: ANN401  # As above.
    return isinstance(part, sa.Select)


def _locks(part: Any) -> bool:  # noqa: ANN401  # As above.
    lock = getattr(part, "_for_update_arg", None)
    return _is_select(part) and lock is not None


def _parts(root: ClauseElement) -> Iterator[Any]:
    """Yield everything that a statement is made of, each once."""
    waiting: list[Any] = [root]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting.extend(part.get_children())
        table = getattr(part, "table", None)  # A column of a sub-select leads to it.
        if isinstance(table, sa.CTE | sa.Subquery):
            waiting.append(table)


def _alternatives(root: ClauseElement) -> Iterator[tuple[str, Any, ClauseElement]]:
    """Yield what each counts as a lease by itself: the branches of an OR over workers' leases."""
    for part in _parts(root):
        if isinstance(part, BooleanClauseList) and part.operator is operators.or_:
            text = str(part)
            if "lease_until" in text and "EXISTS" not in text:
                for clause in part.clauses:
                    yield _label(clause), part, clause


def _is_key(clause: Any) -> bool:  # noqa: ANN401  # As above.
    """Tell whether the clause only says which row is meant."""
    operator = getattr(clause, "operator", None)
    return (
        operator in {operators.eq, operators.in_op} and _label(clause).rpartition(".")[2] in _KEYS
    )


def _label(clause: Any) -> str:  # noqa: ANN401  # As above.
    """Return the column that the clause looks at, or `lease` for a look at a worker's."""
    text = str(clause)
    if "EXISTS" in text:
        return "lease" if "lease" in text else "exists"
    found = _COLUMN.search(text)
    if found is None:
        return _WORD.findall(text)[0]
    return found[2] if found[1] in metadata.tables else found[0]
