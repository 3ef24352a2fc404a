"""Which command line a program has: its parser's, none, or one that cannot be read."""

import ast
from collections.abc import Iterator

from service.tools.drafts import ParserDraft
from service.tools.parser import find_parsers
from service.tools.signature import Kind, Parameter, Signature

_OTHER_PARSERS = frozenset({"click", "typer", "docopt", "fire", "optparse", "getopt", "absl"})

ARGUMENTS = "arguments"
"""The one parameter of a tool that reads `sys.argv` by itself."""


def read_command_line(module: ast.Module) -> Signature:
    """Tell what arguments the program takes."""
    drafts = find_parsers(module)
    if drafts:
        return _chosen(drafts)
    imported = set(_imported(module))
    if others := sorted(imported & _OTHER_PARSERS):
        note = f"It reads its arguments with {', '.join(others)}, which is not understood."
        return Signature(is_open=True, notes=(note,))
    if _reads_argv(module):
        return Signature(
            parameters=(
                Parameter(
                    ARGUMENTS,
                    kind=Kind.VALUE,
                    nargs="*",
                    description="Passed on in this order, as they are.",
                ),
            ),
            has_separator=False,
            allows_dashes=False,
            notes=("It reads sys.argv by itself, so its arguments have no names.",),
        )
    return Signature()


def _chosen(drafts: list[ParserDraft]) -> Signature:
    """Pick the parser that reads the command line."""
    candidates = (
        [draft for draft in drafts if draft.parses]
        or [draft for draft in drafts if draft.parses_known]
        or [draft for draft in drafts if not draft.is_parent]
        or drafts
    )
    draft = candidates[-1]
    if draft.parses_known and not draft.parses:
        draft.note("It may take further arguments, which are not offered.")
    if len([one for one in candidates if one.arguments]) > 1:
        draft.note("It has several parsers; this is the last one.", opens=True)
    return draft.assemble()


def _imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(name), level=0):
                yield name.partition(".")[0]
            case _:
                pass


def _reads_argv(module: ast.Module) -> bool:
    """Tell whether it looks at `sys.argv`, beyond its own name at the front."""
    own_name: set[int] = set()
    for node in ast.walk(module):
        match node:
            case ast.Subscript(
                value=ast.Attribute(attr="argv") as argv, slice=ast.Constant(value=0)
            ):
                own_name.add(id(argv))
            case ast.Attribute(value=ast.Name(id="sys"), attr="argv") if id(node) not in own_name:
                return True
            case ast.ImportFrom(module="sys", names=names) if any(
                alias.name == "argv" for alias in names
            ):
                return True
            case _:
                pass
    return False
