"""What a program defines, as far as argument parsers are concerned."""

import ast
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Program:
    """The functions of one module, and the names under which it makes parsers."""

    def __init__(self, module: ast.Module) -> None:
        self._module = module
        self.body = module.body
        self.functions = [
            node
            for node in ast.walk(module)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        self._makers = _makers(module)
        self._last_names = frozenset(maker.rpartition(".")[2] for maker in self._makers)
        self._by_name = _only_of_name(self.functions)
        self._relevant = self._find_relevant()

    @property
    def makes_parsers(self) -> bool:
        """True when it imports what makes parsers."""
        return bool(self._makers)

    def makes_parser(self, call: ast.Call) -> bool:
        """Tell whether *call* makes an ArgumentParser."""
        # Its last name first: writing out every function called would take most of the time.
        return last_name(call.func) in self._last_names and ast.unparse(call.func) in self._makers

    def calls_in(self, function: Function, wanted: Callable[[ast.Call], bool]) -> set[int]:
        """Return the ids of the calls in *function* that are *wanted*."""
        return {
            id(node) for node in ast.walk(function) if isinstance(node, ast.Call) and wanted(node)
        }

    def lines_of_declarations(self, *, unless: set[int]) -> list[int]:
        """Return the lines of all calls of `add_argument`, save those with an id in *unless*."""
        return [
            node.lineno
            for node in ast.walk(self._module)
            if isinstance(node, ast.Call) and is_declaration(node) and id(node) not in unless
        ]

    def called(self, call: ast.Call) -> Function | None:
        """Return the function or method that *call* calls; None when that is not certain."""
        return self._by_name.get(last_name(call.func))

    def is_relevant(self, function: Function) -> bool:
        """Tell whether *function* has to do with parsers, or calls one that has."""
        return function.name in self._relevant

    def _find_relevant(self) -> frozenset[str]:
        calls = {
            name: {
                last_name(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)
            }
            for name, function in self._by_name.items()
        }
        telling = self._last_names | {"add_argument"}
        found = {name for name, called in calls.items() if called & telling}
        while more := {name for name, called in calls.items() if called & found} - found:
            found |= more
        return frozenset(found)


def is_declaration(call: ast.Call) -> bool:
    """Tell whether *call* declares an argument."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"


def _makers(module: ast.Module) -> frozenset[str]:
    """Name everything that makes an ArgumentParser, as the program writes it."""
    makers: set[str] = set()
    classes: list[ast.ClassDef] = []
    for node in ast.walk(module):
        match node:
            case ast.Import():
                makers |= {
                    f"{alias.asname or alias.name}.ArgumentParser"
                    for alias in node.names
                    if alias.name == "argparse"
                }
            case ast.ImportFrom(module="argparse"):
                makers |= {
                    alias.asname or alias.name
                    for alias in node.names
                    if alias.name == "ArgumentParser"
                }
            case ast.ClassDef():
                classes.append(node)
            case _:
                pass
    own = {
        node.name for node in classes if any(ast.unparse(parent) in makers for parent in node.bases)
    }
    return frozenset(makers | own)


def _only_of_name(functions: list[Function]) -> dict[str, Function]:
    """Return the functions by name; of several with one name, none."""
    names = Counter(function.name for function in functions)
    return {function.name: function for function in functions if names[function.name] == 1}


def last_name(node: ast.expr | None) -> str:
    """Return `b` of `b` and of `a.b`; empty for any other expression, and for None."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
