"""Argument parsers found in a program, by following its statements without running them."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from service.tools.declaration import NotUnderstoodError
from service.tools.drafts import ExclusiveGroup, ParserDraft
from service.tools.literals import NotStaticError
from service.tools.parameters import read_argument
from service.tools.program import Function, Program, is_declaration
from service.tools.scope import Scope
from service.tools.signature import UNSET

_MOST_CALLS = 500
"""Calls followed in one program; helpers calling helpers could multiply without end."""


@dataclass(frozen=True, slots=True)
class _Handle:
    """What a name in the program stands for: a parser, or a group of its arguments."""

    draft: ParserDraft
    group: ExclusiveGroup | None = None


@dataclass(frozen=True, slots=True)
class _Method:
    """A method of a parser or group, bound but not yet called."""

    owner: _Handle
    name: str


_Known: TypeAlias = _Handle | _Method


@dataclass(slots=True)
class _Frame:
    """One function being followed."""

    scope: Scope
    names: dict[str, _Known] = field(default_factory=dict[str, "_Known"])
    result: _Known | None = None
    repeats: bool = False
    """True inside a loop, where one line may declare many arguments."""


def find_parsers(module: ast.Module) -> list[ParserDraft]:
    """Return every ArgumentParser the program makes, in the order of its statements."""
    return _Walk(module).run()


class _Walk:
    """One program, followed from its first statement."""

    def __init__(self, module: ast.Module) -> None:
        self._program = Program(module)
        self._scope = Scope(module.body)
        self._drafts: list[ParserDraft] = []
        self._globals: dict[str, _Known] = {}
        self._seen: set[int] = set()
        self._calls = 0
        self._active: list[str] = []
        self._attributes: dict[str, _Known] = {}

    def run(self) -> list[ParserDraft]:
        if not self._program.makes_parsers:
            return []
        self._follow(self._program.body, _Frame(self._scope, self._globals))
        # What no statement leads to, a method of some object for example, is read by itself.
        for calls_of in (self._program.makes_parser, is_declaration):
            for function in self._program.functions:
                if not self._program.calls_in(function, calls_of) <= self._seen:
                    self._enter(function, {})
        self._note_unseen()
        return self._drafts

    def _note_unseen(self) -> None:
        """Say so where arguments are declared that the walk never came by."""
        for line in self._program.lines_of_declarations(unless=self._seen):
            for draft in self._drafts:
                draft.note(f"Line {line}: an argument is declared out of sight.", opens=True)

    def _enter(self, function: Function, given: dict[str, _Known]) -> _Known | None:
        """Follow *function*, called with the parsers in *given*; return the parser it returns."""
        if function.name in self._active or self._calls >= _MOST_CALLS:
            return None
        self._calls += 1
        self._active.append(function.name)
        parameters = function.args
        arguments = [
            argument.arg
            for argument in (
                *parameters.posonlyargs,
                *parameters.args,
                *parameters.kwonlyargs,
                *filter(None, (parameters.vararg, parameters.kwarg)),
            )
        ]
        frame = _Frame(Scope(function.body, arguments, self._scope), dict(given))
        self._follow(function.body, frame)
        self._active.pop()
        return frame.result

    def _follow(self, statements: Iterable[ast.stmt], frame: _Frame) -> None:
        for statement in statements:
            self._step(statement, frame)

    def _step(self, node: ast.AST, frame: _Frame) -> None:
        """Follow one statement, or one part of it."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                return
            case ast.Assign(targets=targets, value=value):
                known = self._look_at(value, frame)
                for target in targets:
                    self._bind(target, known, frame)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind(target, self._look_at(value, frame), frame)
            case ast.Return(value=ast.expr() as value):
                frame.result = self._look_at(value, frame) or frame.result
            case ast.For() | ast.AsyncFor() | ast.While():
                self._repeat(node, frame)
            case ast.expr():
                self._look_at(node, frame)
            case _:
                for child in ast.iter_child_nodes(node):
                    self._step(child, frame)

    def _repeat(self, node: ast.AST, frame: _Frame) -> None:
        outside, frame.repeats = frame.repeats, True
        for child in ast.iter_child_nodes(node):
            self._step(child, frame)
        frame.repeats = outside

    def _bind(self, target: ast.expr, known: _Known | None, frame: _Frame) -> None:
        if not isinstance(target, ast.Name | ast.Attribute):
            return
        if known is None and isinstance(target, ast.Attribute) and not self._attributes:
            return
        name = ast.unparse(target)
        names = frame.names if isinstance(target, ast.Name) else self._attributes
        if known is None:
            names.pop(name, None)
        else:
            names[name] = known

    def _look_at(self, node: ast.expr, frame: _Frame) -> _Known | None:
        """Follow the calls in an expression; return the parser it comes to, if it does."""
        match node:
            case ast.Name(id=name):
                is_local = frame.scope is not self._scope and frame.scope.binds(name)
                return frame.names.get(name) or (None if is_local else self._globals.get(name))
            case ast.NamedExpr(target=target, value=value):
                known = self._look_at(value, frame)
                self._bind(target, known, frame)
                return known
            case ast.Attribute():
                return self._attribute(node, frame)
            case ast.Call():
                return self._call(node, frame)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._repeat(node, frame)
            case _:
                for child in ast.iter_child_nodes(node):
                    self._step(child, frame)
        return None

    def _attribute(self, node: ast.Attribute, frame: _Frame) -> _Known | None:
        """Tell what an attribute is: a parser's method, or a parser kept in an object."""
        known = self._look_at(node.value, frame)
        if isinstance(known, _Handle):
            return _Method(known, node.attr)
        return self._attributes.get(ast.unparse(node)) if self._attributes else None

    def _call(self, node: ast.Call, frame: _Frame) -> _Known | None:
        if self._program.makes_parser(node):
            return self._make(node, frame)
        known = self._look_at(node.func, frame)
        positional = [self._look_at(argument, frame) for argument in node.args]
        named = {keyword.arg: self._look_at(keyword.value, frame) for keyword in node.keywords}
        if isinstance(known, _Method):
            return self._use(known, node, frame)
        function = self._program.called(node)
        if function is None:
            return None
        given = {name: value for name, value in named.items() if name and value}
        parameters = [
            argument.arg for argument in (*function.args.posonlyargs, *function.args.args)
        ]
        if isinstance(node.func, ast.Attribute) and parameters[:1] in (["self"], ["cls"]):
            parameters = parameters[1:]
        given |= {name: value for name, value in zip(parameters, positional, strict=False) if value}
        if given or self._program.is_relevant(function):
            return self._enter(function, given)
        return None

    def _make(self, node: ast.Call, frame: _Frame) -> _Handle:
        """Begin the draft of the parser that *node* makes."""
        self._seen.add(id(node))
        draft = ParserDraft()
        self._drafts.append(draft)
        for keyword in node.keywords:
            match keyword.arg:
                case "parents":
                    self._inherit(draft, keyword.value, frame)
                case "description":
                    draft.description = frame.scope.text(keyword.value) or ""
                case "prefix_chars":
                    draft.prefix_chars = frame.scope.text(keyword.value) or "-"
                case "fromfile_prefix_chars":
                    # Not to be seen, it is most likely the one of argparse's own example.
                    draft.file_prefixes = frame.scope.text(keyword.value) or "@"
                case None:
                    draft.note("The parser is made with ** keywords.", opens=True)
                case _:
                    pass
        return _Handle(draft)

    def _inherit(self, draft: ParserDraft, value: ast.expr, frame: _Frame) -> None:
        elements = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
        for element in elements:
            parent = self._look_at(element, frame)
            if isinstance(parent, _Handle):
                parent.draft.is_parent = True
                draft.arguments.extend(parent.draft.arguments)
                draft.exclusive_groups.extend(parent.draft.exclusive_groups)
                draft.notes |= parent.draft.notes
                draft.is_open = draft.is_open or parent.draft.is_open
            else:
                draft.note(
                    "It takes arguments of a parent parser that is not to be seen.", opens=True
                )

    def _use(self, method: _Method, node: ast.Call, frame: _Frame) -> _Known | None:
        """Take in what one call does to a parser or group."""
        draft = method.owner.draft
        match method.name:
            case "add_argument":
                self._add(method.owner, node, frame)
            case "add_argument_group":
                return method.owner
            case "add_mutually_exclusive_group":
                group = ExclusiveGroup(is_required=_is_true(node, "required"))
                draft.exclusive_groups.append(group)
                return _Handle(draft, group)
            case "add_subparsers":
                draft.note("It has sub-commands, which cannot be given.", opens=True)
            case "set_defaults":
                _set_defaults(draft, node, frame.scope)
            case "parse_args":
                draft.parses = True
            case "parse_known_args":
                draft.parses_known = True
            case "parse_intermixed_args" | "parse_known_intermixed_args":
                draft.parses = True
                draft.is_intermixed = True
            case _:
                pass
        return None

    def _add(self, owner: _Handle, node: ast.Call, frame: _Frame) -> None:
        draft = owner.draft
        self._seen.add(id(node))
        try:
            argument = read_argument(node, frame.scope, draft.prefix_chars)
        except NotUnderstoodError as error:
            where = " in a loop" if frame.repeats else ""
            draft.note(f"Line {node.lineno}: {error}{where}.", opens=True)
            return
        if argument is None:
            return
        draft.arguments.append(argument)
        if owner.group is not None:
            owner.group.members.append(argument)


def _set_defaults(draft: ParserDraft, node: ast.Call, scope: Scope) -> None:
    for keyword in node.keywords:
        if keyword.arg is None:
            continue
        try:
            draft.defaults[keyword.arg] = scope.value(keyword.value)
        except NotStaticError:
            draft.defaults[keyword.arg] = UNSET


def _is_true(node: ast.Call, keyword: str) -> bool:
    return any(
        isinstance(given.value, ast.Constant) and given.value.value is True
        for given in node.keywords
        if given.arg == keyword
    )
