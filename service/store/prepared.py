"""Statements as the driver itself runs them: compiled once, many sets of parameters in one trip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_Convert: TypeAlias = Callable[[Any], Any]

_BEGIN = sa.text("SELECT")


class Prepared:
    """A statement that goes past SQLAlchemy's own execution, which costs more than PostgreSQL's.

    It is run once for each set of parameters, in the order given: every set meets the guard by
    itself, and sees what those before it did. All of them are one round trip and, on a connection
    on which statements commit by themselves, one transaction.
    """

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._statement = statement
        self._compiled: _Compiled | None = None

    async def fetch(
        self, connection: AsyncConnection, given: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Run it for each of *given*, and return every row that comes out, by column.

        Raises the driver's own errors.
        """
        compiled = self._compiled = self._compiled or _Compiled.of(
            self._statement, connection.dialect
        )
        values = [compiled.values(each) for each in given]
        await _begin(connection)
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            records: Sequence[Mapping[str, Any]] = await driver.fetchmany(compiled.sql, values)
        except BaseException as error:
            is_answer = hasattr(error, "sqlstate") and not driver.is_closed()
            if not is_answer:
                # The pool has not seen it break, and would hand it to the next.
                await connection.invalidate()
            raise
        return [compiled.row(record) for record in records]


async def _begin(connection: AsyncConnection) -> None:
    """Have SQLAlchemy begin its transaction, which it does at the first statement it sees."""
    known = connection.sync_connection
    if known is None or known.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        await connection.execute(_BEGIN)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in PostgreSQL's words, and what its types do to values on their way."""

    sql: str
    order: Sequence[str]
    """The names of the parameters, `$1` first."""
    fixed: Mapping[str, Any]
    """The values of those that stand in the statement itself."""
    to_driver: Mapping[str, _Convert]
    from_driver: Mapping[str, _Convert]

    @classmethod
    def of(cls, statement: sa.Select[Any], dialect: sa.Dialect) -> "_Compiled":
        """Compile *statement*, as an execution by SQLAlchemy would."""
        compiled = statement.compile(dialect=dialect)
        to_driver = {
            name: convert
            for name, bind in compiled.binds.items()
            if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }
        from_driver = {
            column.name: convert
            for column in statement.selected_columns
            # Of whatever else our tables hold, the driver gives what SQLAlchemy would.
            if isinstance(column.type, sa.JSON)
            and (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        }
        fixed = {
            name: to_driver[name](bind.value) if name in to_driver else bind.value
            for name, bind in compiled.binds.items()
            if not bind.required
        }
        order = compiled.positiontup or ()
        return cls(compiled.string, order, fixed, to_driver, from_driver)

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """Return what the driver is to send for *given*."""
        return [
            self.fixed[name] if name in self.fixed else self._sent(name, given)
            for name in self.order
        ]

    def _sent(self, name: str, given: Mapping[str, Any]) -> Any:  # noqa: ANN401  # As a column holds.
        convert = self.to_driver.get(name)
        return given[name] if convert is None else convert(given[name])

    def row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return *record* as SQLAlchemy would give it."""
        row = dict(record)
        for name, convert in self.from_driver.items():
            row[name] = convert(row[name])
        return row
