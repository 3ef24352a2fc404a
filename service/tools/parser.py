"""Argument parsers found in a program, by following its statements without running them."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from service.tools.drafts import ExclusiveGroup, ParserDraft
from service.tools.literals import NotStaticError
from service.tools.parameters import NotUnderstoodError, read_argument
from service.tools.scope import Scope
from service.tools.signature import UNSET

_MOST_CALLS = 500
"""Calls followed in one program; helpers calling helpers could multiply without end."""

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


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
        self._module = module
        self._scope = Scope(module.body)
        self._makers = frozenset(_makers(module))
        self._functions = _functions(module)
        self._relevant = self._relevant_functions()
        self._drafts: list[ParserDraft] = []
        self._seen: set[int] = set()
        self._calls = 0
        self._active: list[str] = []
        self._attributes: dict[str, _Known] = {}

    def run(self) -> list[ParserDraft]:
        if not self._makers:
            return []
        self._follow(self._module.body, _Frame(self._scope))
        # What no statement leads to, a method of some object for example, is read by itself.
        for node in ast.walk(self._module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                id(call) not in self._seen for call in self._constructions(node)
            ):
                self._enter(node, {})
        return self._drafts

    def _constructions(self, within: ast.AST) -> Iterator[ast.Call]:
        for node in ast.walk(within):
            if isinstance(node, ast.Call) and self._makes_parser(node):
                yield node

    def _makes_parser(self, call: ast.Call) -> bool:
        return isinstance(call.func, ast.Name | ast.Attribute) and (
            ast.unparse(call.func) in self._makers
        )

    def _relevant_functions(self) -> frozenset[str]:
        """Name the functions worth entering: those that have to do with parsers, or call such."""
        calls = {
            name: {
                _last_name(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)
            }
            for name, function in self._functions.items()
        }
        makers = {maker.rpartition(".")[2] for maker in self._makers}
        found = {name for name, called in calls.items() if called & (makers | {"add_argument"})}
        while more := {name for name, called in calls.items() if called & found} - found:
            found |= more
        return frozenset(found)

    def _enter(self, function: _Function, given: dict[str, _Known]) -> _Known | None:
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
                return frame.names.get(name)
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
        return self._attributes.get(ast.unparse(node))

    def _call(self, node: ast.Call, frame: _Frame) -> _Known | None:
        known = self._look_at(node.func, frame)
        positional = [self._look_at(argument, frame) for argument in node.args]
        named = {keyword.arg: self._look_at(keyword.value, frame) for keyword in node.keywords}
        if self._makes_parser(node):
            return self._make(node, frame)
        if isinstance(known, _Method):
            return self._use(known, node, frame)
        function = self._functions.get(_last_name(node.func))
        if function is None:
            return None
        given = {name: value for name, value in named.items() if name and value}
        parameters = [
            argument.arg for argument in (*function.args.posonlyargs, *function.args.args)
        ]
        if isinstance(node.func, ast.Attribute) and parameters[:1] in (["self"], ["cls"]):
            parameters = parameters[1:]
        given |= {name: value for name, value in zip(parameters, positional, strict=False) if value}
        if given or function.name in self._relevant:
            return self._enter(function, given)
        return None

    def _make(self, node: ast.Call, frame: _Frame) -> _Handle:
        """Begin the draft of the parser that *node* makes."""
        self._seen.add(id(node))
        draft = ParserDraft()
        self._drafts.append(draft)
        for keyword in node.keywords:
            match keyword:
                case ast.keyword(arg="parents", value=value):
                    self._inherit(draft, value, frame)
                case ast.keyword(arg="description", value=value):
                    draft.description = _text(value, frame.scope) or ""
                case ast.keyword(arg="prefix_chars", value=value):
                    draft.prefix_chars = _text(value, frame.scope) or "-"
                case ast.keyword(arg="fromfile_prefix_chars", value=value):
                    draft.file_prefixes = _text(value, frame.scope) or ""
                case ast.keyword(arg=None):
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


def _makers(module: ast.Module) -> Iterator[str]:
    """Name everything that makes an ArgumentParser, as the program writes it."""
    classes: list[ast.ClassDef] = []
    makers: set[str] = set()
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                makers |= {
                    f"{alias.asname or alias.name}.ArgumentParser"
                    for alias in names
                    if alias.name == "argparse"
                }
            case ast.ImportFrom(module="argparse", names=names):
                makers |= {
                    alias.asname or alias.name for alias in names if alias.name == "ArgumentParser"
                }
            case ast.ClassDef():
                classes.append(node)
            case _:
                pass
    yield from makers
    for node in classes:
        if any(ast.unparse(parent) in makers for parent in node.bases):
            yield node.name


def _functions(module: ast.Module) -> dict[str, _Function]:
    """Collect the functions and methods by name; of two with one name, neither."""
    found: dict[str, _Function | None] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = None if node.name in found else node
    return {name: function for name, function in found.items() if function is not None}


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _text(node: ast.expr, scope: Scope) -> str | None:
    try:
        value = scope.value(node)
    except NotStaticError:
        return None
    return value if isinstance(value, str) else None


def _is_true(node: ast.Call, keyword: str) -> bool:
    return any(
        isinstance(given.value, ast.Constant) and given.value.value is True
        for given in node.keywords
        if given.arg == keyword
    )
