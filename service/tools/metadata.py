"""A tool's title and description, from its script block, its docstring or its name."""

import ast
import inspect
import re

_LONGEST_TITLE = 80
_LONGEST_DESCRIPTION = 4000


def title_and_description(
    name: str, module: ast.Module, declared_title: str | None, parser_description: str
) -> tuple[str, str]:
    """Return both, each in one line or several paragraphs, never None.

    The title is the declared one, else the docstring's first sentence where it is short, else
    made from *name*. The description is what the docstring says beyond the title, else what
    the parser says of itself.
    """
    docstring = _docstring(module)
    first, rest = _split_sentence(docstring)
    if declared_title:
        title = _one_line(declared_title)
        if first == title:
            docstring = rest
    elif first and len(first) <= _LONGEST_TITLE:
        title, docstring = first, rest
    else:
        title = title_from_name(name)
    description = docstring or inspect.cleandoc(_clean(parser_description))
    if description.rstrip(".") == title:
        description = ""
    return title, description[:_LONGEST_DESCRIPTION]


def title_from_name(name: str) -> str:
    """Make `build_graph` read as "Build graph"."""
    words = " ".join(re.split(r"[_.-]+", name)).strip()
    return words[:1].upper() + words[1:] or name


def _docstring(module: ast.Module) -> str:
    return _clean(ast.get_docstring(module) or "").strip()


def _split_sentence(text: str) -> tuple[str, str]:
    """Cut *text* after its first sentence, which loses its full stop."""
    paragraph, _, others = text.partition("\n\n")
    ending = re.search(r"[.!?](?=\s|$)", paragraph)
    if ending is None:
        return _one_line(paragraph), others.strip()
    first = _one_line(paragraph[: ending.end()])
    rest = f"{paragraph[ending.end() :].strip()}\n\n{others}".strip()
    return first.removesuffix("."), rest


def _one_line(text: str) -> str:
    return " ".join(_clean(text).split())


def _clean(text: str) -> str:
    """Replace what JSON cannot carry, and control characters that no reader wants."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(one if one.isprintable() or one in "\n\t" else " " for one in text)
