"""A parser in the making: arguments gathered one by one, then assembled into a signature."""

from dataclasses import dataclass, field, replace

from service.tools.declaration import name_of_flag
from service.tools.defaults import fit_default
from service.tools.parameters import Argument, count_from, given_or_not
from service.tools.signature import (
    UNSET,
    Exclusion,
    Json,
    Kind,
    Parameter,
    Signature,
    Unset,
)


@dataclass(slots=True, eq=False)
class ExclusiveGroup:
    """A mutually exclusive group, with the flags that were declared in it."""

    is_required: bool = False
    members: list[Argument] = field(default_factory=list[Argument])


@dataclass(slots=True, eq=False)
class ParserDraft:
    """One ArgumentParser, as far as it has been read."""

    description: str = ""
    prefix_chars: str = "-"
    file_prefixes: str = ""
    arguments: list[Argument] = field(default_factory=list[Argument])
    exclusive_groups: list[ExclusiveGroup] = field(default_factory=list[ExclusiveGroup])
    defaults: dict[str, Json | Unset] = field(default_factory=dict[str, "Json | Unset"])
    notes: dict[str, None] = field(default_factory=dict[str, None])
    is_open: bool = False
    is_parent: bool = False
    parses: bool = False
    parses_known: bool = False
    is_intermixed: bool = False
    """True for `parse_intermixed_args`, which reads a value after `--` as an option again."""

    def note(self, text: str, *, opens: bool = False) -> None:
        """Add a note once; with *opens* the tool may take more than was understood."""
        self.notes[text] = None
        self.is_open = self.is_open or opens

    def assemble(self) -> Signature:
        """Give every argument a name of its own, and say what belongs together."""
        parameters: dict[str, Parameter] = {}
        names: dict[int, str] = {}
        for argument in self.arguments:
            for text in argument.notes:
                self.note(text)
            if argument.is_hidden:
                continue
            parameter = self._with_default(argument.parameter)
            placed = _place(parameters, parameter)
            parameters[placed.name] = placed
            names[id(argument)] = placed.name
        exclusions = self._exclusions(names)
        for alone in [one for one in exclusions if one.is_required and len(one.names) == 1]:
            # Its flags exclude each other by being one parameter; that one must be given.
            parameters[alone.names[0]] = replace(parameters[alone.names[0]], is_required=True)
        return Signature(
            parameters=tuple(parameters.values()),
            exclusions=tuple(one for one in exclusions if len(one.names) > 1),
            description=self.description,
            is_open=self.is_open,
            allows_dashes=not self.is_intermixed,
            prefix_chars=self.prefix_chars,
            file_prefixes=self.file_prefixes,
            notes=tuple(self.notes),
        )

    def _with_default(self, parameter: Parameter) -> Parameter:
        """Apply `set_defaults`, which outranks what the argument itself declares."""
        if parameter.name not in self.defaults:
            return parameter
        default = self.defaults[parameter.name]
        match parameter.kind:
            case Kind.COUNT:
                return count_from(parameter, default)
            case Kind.FLAG:
                is_known = isinstance(default, bool | str | int | float)
                return replace(parameter, default=default if is_known else UNSET)
            case _:
                return fit_default(replace(parameter, default=UNSET), default)

    def _exclusions(self, names: dict[int, str]) -> list[Exclusion]:
        exclusions: list[Exclusion] = []
        for group in self.exclusive_groups:
            members = dict.fromkeys(
                names[id(argument)] for argument in group.members if id(argument) in names
            )
            hides_some = any(argument.is_hidden for argument in group.members)
            if members:
                exclusions.append(Exclusion(tuple(members), group.is_required and not hides_some))
        return exclusions


def _place(parameters: dict[str, Parameter], parameter: Parameter) -> Parameter:
    """Settle under which name *parameter* goes beside those already there."""
    known = parameters.get(parameter.name)
    if known is None:
        return parameter
    if known.kind is Kind.FLAG and parameter.kind is Kind.FLAG:
        # Several flags for one destination are one parameter with several values.
        constants = (*known.constants, *parameter.constants)
        if len({(type(value), value) for value, _ in constants}) == len(constants):
            return replace(known, constants=constants)
    if parameter.kind is Kind.FLAG:
        parameter = given_or_not(parameter)
    elif parameter.flag:
        parameter = replace(parameter, name=name_of_flag(parameter.flag))
    name, number = parameter.name, 2
    while parameter.name in parameters:
        parameter = replace(parameter, name=f"{name}_{number}")
        number += 1
    return parameter
