"""One call of `add_argument`, understood as a parameter.

The meanings are those of https://docs.python.org/3/library/argparse.html#the-add-argument-method.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from service.tools.declaration import Declaration, NotUnderstoodError, name_of_flag
from service.tools.defaults import fit_choices, fit_default
from service.tools.scope import Scope
from service.tools.signature import UNSET, Json, Kind, Parameter, Unset, ValueType

_TYPES = {
    "int": ValueType.INTEGER,
    "float": ValueType.NUMBER,
    "bool": ValueType.BOOLEAN,
}
_MOST_COUNTED = 100
"""So that a flag to be counted is not repeated without end."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter before it takes its place beside the others."""

    parameter: Parameter
    is_hidden: bool = False
    """True when the tool does not tell of it; then we do not either."""
    notes: tuple[str, ...] = ()


def read_argument(call: ast.Call, scope: Scope, prefix_chars: str = "-") -> Argument | None:
    """Read one call of `add_argument`; None when it makes no parameter (help, version).

    Raises NotUnderstoodError.
    """
    declaration = Declaration(call, scope, prefix_chars)
    action = declaration.action()
    if action in {"help", "version"}:
        return None
    parameter = _ACTIONS.get(action, _own_action)(declaration)
    is_own = action not in _ACTIONS
    return Argument(
        replace(parameter, description=declaration.description(parameter)),
        is_hidden=declaration.is_hidden(),
        notes=(f"{declaration.label} has an action of its own, {action}.",) if is_own else (),
    )


def given_or_not(parameter: Parameter) -> Parameter:
    """Make of a flag a parameter of the flag's own name, true when the flag is given."""
    return replace(
        parameter,
        name=name_of_flag(parameter.flag),
        kind=Kind.FLAG,
        value_type=ValueType.BOOLEAN,
        constants=((True, parameter.flag),),
        default=False,
    )


def count_from(parameter: Parameter, default: Json | Unset) -> Parameter:
    """Let a COUNT begin where its default is: each flag adds one to that."""
    start = default if isinstance(default, int) else 0
    return replace(parameter, default=start, minimum=start, maximum=start + _MOST_COUNTED)


def _store(declaration: Declaration) -> Parameter:
    return _values(declaration, Kind.VALUE)


def _append(declaration: Declaration) -> Parameter:
    return _values(declaration, Kind.APPEND)


def _extend(declaration: Declaration) -> Parameter:
    if declaration.nargs() not in {"*", "+"}:
        raise NotUnderstoodError(f"{declaration.label} extends its list in a way of its own")
    return _values(declaration, Kind.EXTEND)


def _values(declaration: Declaration, kind: Kind) -> Parameter:
    """Read an argument that takes values."""
    type_name = declaration.type_name()
    parameter = replace(
        declaration.parameter,
        kind=kind,
        value_type=_value_type(type_name),
        nargs=declaration.nargs(),
        is_required=declaration.is_required(),
        may_stand_bare=_may_stand_bare(declaration),
    )
    if type_name == "bool":
        # `bool("False")` is true; of all texts only the empty one is false.
        parameter = replace(parameter, true_text="True", false_text="")
    return fit_default(fit_choices(parameter, declaration.choices()), declaration.default())


def _value_type(type_name: str) -> ValueType:
    if type_name in _TYPES:
        return _TYPES[type_name]
    # `str2bool`, `parse_bool`, `strtobool`: everybody writes one, and all know true and false.
    return ValueType.BOOLEAN if "bool" in type_name.lower() else ValueType.STRING


def _may_stand_bare(declaration: Declaration) -> bool:
    """Tell whether the option alone says something that no value could.

    A constant that is text says what giving the text as the value says.
    """
    if declaration.nargs() != "?" or not declaration.parameter.flag:
        return False
    return declaration.has("const") and not isinstance(declaration.static("const"), str)


def _store_true(declaration: Declaration) -> Parameter:
    return _switch(declaration, constant=True)


def _store_false(declaration: Declaration) -> Parameter:
    return _switch(declaration, constant=False)


def _switch(declaration: Declaration, *, constant: bool) -> Parameter:
    default = declaration.default()
    return replace(
        declaration.parameter,
        kind=Kind.FLAG,
        value_type=ValueType.BOOLEAN,
        constants=((constant, declaration.parameter.flag),),
        default=not constant if default is None else default,
        is_required=declaration.is_required(),
    )


def _boolean_optional(declaration: Declaration) -> Parameter:
    flag = declaration.parameter.flag
    constants: list[tuple[Json, str]] = [(True, flag)]
    if flag.startswith("--"):
        constants.append((False, f"--no-{flag[2:]}"))
    return replace(
        declaration.parameter,
        kind=Kind.FLAG,
        value_type=ValueType.BOOLEAN,
        constants=tuple(constants),
        default=_scalar_or_unset(declaration.default()),
        is_required=declaration.is_required(),
    )


def _store_const(declaration: Declaration) -> Parameter:
    constant = declaration.static("const")
    if constant is None or isinstance(constant, list | dict):
        return given_or_not(declaration.parameter)
    return replace(
        declaration.parameter,
        kind=Kind.FLAG,
        constants=((constant, declaration.parameter.flag),),
        default=_scalar_or_unset(declaration.default()),
        is_required=declaration.is_required(),
    )


def _append_const(declaration: Declaration) -> Parameter:
    return given_or_not(declaration.parameter)


def _count(declaration: Declaration) -> Parameter:
    parameter = replace(
        declaration.parameter,
        kind=Kind.COUNT,
        value_type=ValueType.INTEGER,
        is_required=declaration.is_required(),
    )
    return count_from(parameter, declaration.default())


def _own_action(declaration: Declaration) -> Parameter:
    if declaration.parameter.flag and declaration.static("nargs") == 0:
        return given_or_not(declaration.parameter)
    return _store(declaration)


def _scalar_or_unset(value: Json | Unset) -> Json | Unset:
    return UNSET if value is None or isinstance(value, list | dict) else value


_ACTIONS: Mapping[str, Callable[[Declaration], Parameter]] = {
    "store": _store,
    "append": _append,
    "extend": _extend,
    "store_true": _store_true,
    "store_false": _store_false,
    "BooleanOptionalAction": _boolean_optional,
    "store_const": _store_const,
    "append_const": _append_const,
    "count": _count,
}
"""What argparse comes with; any other action is the tool's own."""
