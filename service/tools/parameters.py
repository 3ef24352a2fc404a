"""One call of `add_argument`, read as a parameter.

The meanings are those of https://docs.python.org/3/library/argparse.html#the-add-argument-method.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from service.tools.defaults import fit_choices, fit_default
from service.tools.literals import NotStaticError
from service.tools.scope import Scope
from service.tools.signature import UNSET, Json, Kind, Parameter, Unset, ValueType

_TYPES = {
    "int": ValueType.INTEGER,
    "float": ValueType.NUMBER,
    "bool": ValueType.BOOLEAN,
}
_NARGS = {"OPTIONAL": "?", "ZERO_OR_MORE": "*", "ONE_OR_MORE": "+"}
_FLAG = re.compile(r"[^=\s\x00-\x1f]{2,100}")
_MOST_ENUMERATED = 32
"""A range with more numbers is told by its two ends."""
_MOST_VALUES = 1000
_MOST_COUNTED = 100
"""So that a flag to be counted is not repeated without end."""


class NotUnderstoodError(Exception):
    """The argument means something that reading alone cannot tell; the message says what."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter, and what is known of it before it takes its place beside the others."""

    parameter: Parameter
    is_hidden: bool = False
    is_given_or_not: bool = False
    """True for a flag whose constant JSON cannot say; its parameter is called as the flag is."""
    notes: tuple[str, ...] = ()


def read_argument(call: ast.Call, scope: Scope, prefix_chars: str = "-") -> Argument | None:
    """Read one call of `add_argument`; None when it makes no parameter (help, version).

    Raises NotUnderstoodError.
    """
    reading = _Reading(call, scope, prefix_chars)
    action = reading.action()
    if action in _ACTIONS:
        return _ACTIONS[action](reading)
    return reading.own_action(action)


class _Reading:
    """One call, with its keywords at hand."""

    def __init__(self, call: ast.Call, scope: Scope, prefix_chars: str) -> None:
        self._scope = scope
        self._prefix_chars = prefix_chars
        self._keywords: dict[str, ast.expr] = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                raise NotUnderstoodError("arguments are declared with ** keywords")
            self._keywords[keyword.arg] = keyword.value
        self._names = self._read_names(call.args)
        self._flags = [name for name in self._names if name[0] in prefix_chars]
        self._parameter = self._name()

    def action(self) -> str:
        """Name the action; one that is a class by the name of its class."""
        node = self._keywords.get("action")
        if node is None:
            return "store"
        match node:
            case ast.Constant(value=str(action)):
                return action
            case ast.Name(id=action) | ast.Attribute(attr=action):
                return action
            case _:
                raise NotUnderstoodError(f"the action of {self._label} is made at run time")

    def value(self, kind: Kind) -> Argument:
        value_type = self._value_type()
        parameter = replace(
            self._parameter,
            kind=kind,
            value_type=value_type,
            nargs=self._nargs(),
            true_text="True" if self._type_name() == "bool" else "true",
            false_text="" if self._type_name() == "bool" else "false",
            is_required=self._is_required(),
        )
        parameter = fit_choices(parameter, self._choices())
        if parameter.nargs == "?" and parameter.flag and "const" in self._keywords:
            # A constant that is text means what giving the text means: no bare option is needed.
            parameter = replace(
                parameter, may_stand_bare=not isinstance(self._static("const"), str)
            )
        return self._finished(fit_default(parameter, self._default()))

    def extension(self) -> Argument:
        if self._nargs() not in {"*", "+"}:
            raise NotUnderstoodError(f"{self._label} extends its list in a way of its own")
        return self.value(Kind.EXTEND)

    def flag(self, *, constant: bool) -> Argument:
        default = self._default(otherwise=not constant)
        return self._finished(
            replace(
                self._parameter,
                kind=Kind.FLAG,
                value_type=ValueType.BOOLEAN,
                constants=((constant, self._parameter.flag),),
                default=(not constant) if default is None else default,
                is_required=self._is_required(),
            )
        )

    def pair(self) -> Argument:
        flag = self._parameter.flag
        constants: list[tuple[Json, str]] = [(True, flag)]
        if flag.startswith("--"):
            constants.append((False, f"--no-{flag[2:]}"))
        default = self._default()
        return self._finished(
            replace(
                self._parameter,
                kind=Kind.FLAG,
                value_type=ValueType.BOOLEAN,
                constants=tuple(constants),
                default=UNSET if default is None else default,
                is_required=self._is_required(),
            )
        )

    def constant(self) -> Argument:
        constant = self._static("const")
        if constant is None or not isinstance(constant, str | int | float):
            return self.given_or_not()
        default = self._default()
        return self._finished(
            replace(
                self._parameter,
                kind=Kind.FLAG,
                constants=((constant, self._parameter.flag),),
                default=UNSET if default is None or isinstance(default, list | dict) else default,
            )
        )

    def given_or_not(self) -> Argument:
        parameter = given_or_not(self._parameter, self._parameter.flag)
        return replace(self._finished(parameter), is_given_or_not=True)

    def count(self) -> Argument:
        default = self._default()
        start = default if isinstance(default, int) else 0
        return self._finished(
            replace(
                self._parameter,
                kind=Kind.COUNT,
                value_type=ValueType.INTEGER,
                default=start,
                minimum=start,
                maximum=start + _MOST_COUNTED,
                is_required=self._is_required(),
            )
        )

    def own_action(self, action: str) -> Argument:
        note = f"The argument {self._label} has an action of its own ({action})."
        if "nargs" in self._keywords and self._static("nargs") == 0:
            return replace(self.given_or_not(), notes=(note,))
        return replace(self.value(Kind.VALUE), notes=(note,))

    @property
    def _label(self) -> str:
        return self._parameter.flag or self._parameter.name

    def _read_names(self, nodes: list[ast.expr]) -> list[str]:
        names: list[str] = []
        for node in nodes:
            try:
                name = self._scope.value(node)
            except NotStaticError:
                raise NotUnderstoodError("an argument's name is made at run time") from None
            if not isinstance(name, str) or not name:
                raise NotUnderstoodError("an argument's name is not text")
            names.append(name)
        return names

    def _name(self) -> Parameter:
        dest = self._static("dest")
        if "dest" in self._keywords and not isinstance(dest, str):
            raise NotUnderstoodError("an argument's dest is made at run time")
        if not self._flags:
            name = self._names[0] if self._names else dest
            if not isinstance(name, str) or not name:
                raise NotUnderstoodError("an argument has no name")
            return Parameter(name)
        long = [flag for flag in self._flags if flag[1:2] and flag[1] in self._prefix_chars]
        flag = (long or self._flags)[0]
        if not _FLAG.fullmatch(flag) or flag == "--":
            raise NotUnderstoodError(f"the option {flag!r} cannot be given safely")
        name = dest if isinstance(dest, str) and dest else self._flag_name(flag)
        return Parameter(name, flag)

    def _flag_name(self, flag: str) -> str:
        return flag.lstrip(self._prefix_chars).replace("-", "_")

    def _static(self, keyword: str) -> Json | None:
        """Tell a keyword's value; None when it is absent or made at run time."""
        node = self._keywords.get(keyword)
        if node is None:
            return None
        try:
            return self._scope.value(node)
        except NotStaticError:
            return None

    def _default(self, *, otherwise: Json = None) -> Json | Unset:
        """Tell the default; *otherwise* where none is declared, UNSET if made at run time."""
        node = self._keywords.get("default")
        if node is None:
            return otherwise
        try:
            return self._scope.value(node)
        except NotStaticError:
            return UNSET

    def _is_required(self) -> bool:
        if self._flags:
            return self._static("required") is True
        return self._nargs() not in {"?", "*"}

    def _nargs(self) -> int | str | None:
        node = self._keywords.get("nargs")
        if node is None:
            return None
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in _NARGS:
                return _NARGS[name]
            case ast.Attribute(attr="REMAINDER" | "PARSER") | ast.Name(id="REMAINDER" | "PARSER"):
                nargs: Json = "..."
            case _:
                nargs = self._static("nargs")
        if nargs is None and isinstance(node, ast.Constant):
            return None
        if isinstance(nargs, int) and not isinstance(nargs, bool) and 0 < nargs <= _MOST_VALUES:
            return nargs
        if isinstance(nargs, str) and nargs in {"?", "*", "+"}:
            return nargs
        if nargs in {"...", "A..."}:
            raise NotUnderstoodError(f"{self._label} takes the rest of the command line")
        raise NotUnderstoodError(f"how many values {self._label} takes is decided at run time")

    def _type_name(self) -> str:
        match self._keywords.get("type"):
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return name
            case _:
                return ""

    def _value_type(self) -> ValueType:
        name = self._type_name()
        if name in _TYPES:
            return _TYPES[name]
        # `str2bool`, `parse_bool`, `strtobool`: everybody writes one, and all know true and false.
        return ValueType.BOOLEAN if "bool" in name.lower() else ValueType.STRING

    def _choices(self) -> list[Json] | range | None:
        node = self._keywords.get("choices")
        if node is None:
            return None
        try:
            choices = self._scope.sequence(node)
        except NotStaticError:
            return None
        if isinstance(choices, range) and len(choices) <= _MOST_ENUMERATED:
            return list(choices)
        return choices

    def _finished(self, parameter: Parameter) -> Argument:
        node = self._keywords.get("help")
        is_hidden = isinstance(node, ast.Attribute | ast.Name) and "SUPPRESS" in ast.unparse(node)
        text = self._static("help")
        if not isinstance(text, str) or is_hidden:
            text = ""
        return Argument(
            replace(parameter, description=self._expanded(text, parameter)),
            # The place of a positional matters even when the help does not tell of it.
            is_hidden=is_hidden and bool(parameter.flag),
        )

    def _expanded(self, text: str, parameter: Parameter) -> str:
        """Fill in what argparse would: `%(default)s` and its like."""
        known: dict[str, object] = {
            "dest": parameter.name,
            "metavar": self._static("metavar") or parameter.name.upper(),
            "type": self._type_name() or "str",
            "choices": ", ".join(str(choice) for choice in parameter.choices or ()),
        }
        if "default" not in self._keywords or isinstance(parameter.default, Unset):
            # "(default: %(default)s)" says nothing when nobody knows it.
            text = re.sub(r"\s*[(\[][^()\[\]]*%\(default\)[sdrf][^()\[\]]*[)\]]", "", text)
        known["default"] = "none" if isinstance(parameter.default, Unset) else parameter.default
        filled = re.sub(r"%\((\w+)\)[sdrf]", lambda found: str(known.get(found[1], found[0])), text)
        return " ".join(filled.replace("%%", "%").split())


_ACTIONS: Mapping[str, Callable[[_Reading], Argument | None]] = {
    "store": lambda reading: reading.value(Kind.VALUE),
    "store_true": lambda reading: reading.flag(constant=True),
    "store_false": lambda reading: reading.flag(constant=False),
    "store_const": _Reading.constant,
    "append": lambda reading: reading.value(Kind.APPEND),
    "append_const": _Reading.given_or_not,
    "extend": _Reading.extension,
    "count": _Reading.count,
    "BooleanOptionalAction": _Reading.pair,
    "help": lambda _: None,
    "version": lambda _: None,
}
"""What argparse comes with; any other action is the tool's own."""


def given_or_not(parameter: Parameter, flag: str) -> Parameter:
    """Make of *flag* a parameter of its own name that is true when the flag is given."""
    return replace(
        parameter,
        name=flag.lstrip("-+/").replace("-", "_"),
        kind=Kind.FLAG,
        value_type=ValueType.BOOLEAN,
        constants=((True, flag),),
        default=False,
    )
