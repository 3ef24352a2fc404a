"""What a tool's command line takes, as far as reading its source can tell."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

PLACE = ("body", "parameters")
"""Where a client finds its parameters: the start of every `Violation.loc`."""

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class Unset(StrEnum):
    """The absence of a value, where None is a value."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class ValueType(StrEnum):
    """The JSON type of one value; what a tool makes of its text is the tool's affair."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


class Kind(StrEnum):
    """How an argument stands on the command line."""

    VALUE = "value"
    """Once, followed by its values."""
    APPEND = "append"
    """Once for each element of the list."""
    EXTEND = "extend"
    """As APPEND; each time it may bring several elements."""
    COUNT = "count"
    """Without a value, as often as the number says."""
    FLAG = "flag"
    """Without a value; each flag stands for one constant."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a tool, under the name its program knows it by."""

    name: str
    flag: str = ""
    """The option string to give, the long one where there is one; empty for a positional."""
    kind: Kind = Kind.VALUE
    value_type: ValueType = ValueType.STRING
    nargs: int | str | None = None
    """As argparse has it: None for one value, a number, `?`, `*` or `+`."""
    constants: tuple[tuple[Json, str], ...] = ()
    """Of a FLAG: each constant, with the flag that stands for it."""
    may_stand_bare: bool = False
    """True when the option may come without its value; JSON true says so."""
    true_text: str = "true"
    false_text: str = "false"
    """How the two booleans are written where an option takes one as its value."""
    default: Json | Unset = UNSET
    """UNSET when it is made at run time or there is none."""
    choices: tuple[Json, ...] | None = None
    minimum: int | None = None
    maximum: int | None = None
    is_required: bool = False
    description: str = ""

    @property
    def is_positional(self) -> bool:
        """True when it is known by its place, not by a flag."""
        return self.kind is Kind.VALUE and not self.flag

    @property
    def takes_list(self) -> bool:
        """True when one occurrence of it takes a list of values."""
        return isinstance(self.nargs, int) or self.nargs in {"*", "+"}

    @property
    def all_flags(self) -> tuple[str, ...]:
        """Every flag that may be given for it."""
        return tuple(dict.fromkeys((self.flag, *(flag for _, flag in self.constants))))

    def flag_for(self, value: Json) -> str | None:
        """Return the FLAG that says *value*; None when leaving it out says the same."""
        if not self.is_required and _is_same(self.default, value):
            return None
        return next((flag for known, flag in self.constants if _is_same(known, value)), None)


def _is_same(one: object, other: object) -> bool:
    """Compare as JSON does, where true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Parameters of which at most one may be given, and perhaps one must."""

    names: tuple[str, ...]
    is_required: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """All a tool's command line takes, in the order of its declaration."""

    parameters: tuple[Parameter, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    description: str = ""
    """What the parser says of the tool."""
    is_open: bool = False
    """True when the tool may take more than was understood; `notes` says why."""
    has_separator: bool = True
    """True when the tool knows `--` as the end of its options."""
    allows_dashes: bool = True
    """True when a value after `--` may begin with a dash and is still a value."""
    prefix_chars: str = "-"
    """Characters an option begins with."""
    file_prefixes: str = ""
    """Characters that make the tool read arguments from a file."""
    notes: tuple[str, ...] = ()

    def parameter(self, name: str) -> Parameter | None:
        """Find the parameter called *name*; None when there is none."""
        return next((known for known in self.parameters if known.name == name), None)

    @property
    def positionals(self) -> tuple[Parameter, ...]:
        """The parameters known by their place, in order."""
        return tuple(known for known in self.parameters if known.is_positional)
