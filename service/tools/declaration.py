"""One call of `add_argument`: its names and keywords, as far as reading can tell them."""

import ast
import re

from service.tools.literals import NotStaticError
from service.tools.program import last_name
from service.tools.scope import Scope
from service.tools.signature import UNSET, Json, Parameter, Unset

_NARGS = {
    "OPTIONAL": "?",
    "ZERO_OR_MORE": "*",
    "ONE_OR_MORE": "+",
    "REMAINDER": "...",
    "PARSER": "A...",
}
_FLAG = re.compile(r"(?!--$)[^=\s\x00-\x1f]{2,100}")
_MOST_ENUMERATED = 32
"""A range with more numbers is told by its two ends."""
_MOST_VALUES = 1000


class NotUnderstoodError(Exception):
    """The argument means something that reading alone cannot tell; the message says what."""


class Declaration:
    """What one call declares. Every method raises NotUnderstoodError where reading must end."""

    def __init__(self, call: ast.Call, scope: Scope, prefix_chars: str) -> None:
        self._scope = scope
        self._prefix_chars = prefix_chars
        self._keywords: dict[str, ast.expr] = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                raise NotUnderstoodError("an argument is declared with ** keywords")
            self._keywords[keyword.arg] = keyword.value
        names = [self._declared_name(node) for node in call.args]
        self._flags = [name for name in names if name[0] in prefix_chars]
        self.parameter = self._option() if self._flags else self._positional(names)
        """Its name and its flag; the rest is for the action to say."""

    @property
    def label(self) -> str:
        """What people call it."""
        return self.parameter.flag or self.parameter.name

    def has(self, keyword: str) -> bool:
        """Tell whether the keyword is there, whatever its value."""
        return keyword in self._keywords

    def static(self, keyword: str) -> Json:
        """Tell a keyword's value; None when it is absent, None, or made at run time."""
        value = self._read(keyword)
        return None if isinstance(value, Unset) else value

    def default(self) -> Json | Unset:
        """Tell the default: None when there is none, UNSET when it is made at run time."""
        return self._read("default") if self.has("default") else None

    def action(self) -> str:
        """Name the action; one that is a class by the name of its class."""
        if not self.has("action"):
            return "store"
        action = self.static("action") or last_name(self._keywords["action"])
        if isinstance(action, str) and action:
            return action
        raise NotUnderstoodError(f"the action of {self.label} is made at run time")

    def type_name(self) -> str:
        """Name the function that converts a value; empty when there is none, or none by name."""
        return last_name(self._keywords["type"]) if self.has("type") else ""

    def is_required(self) -> bool:
        """Tell whether the tool refuses to run without it."""
        if self._flags:
            return self.static("required") is True
        return self.nargs() not in {"?", "*"}

    def nargs(self) -> int | str | None:
        """Tell how many values it takes, as `Parameter.nargs` has it."""
        if not self.has("nargs"):
            return None
        nargs = _NARGS.get(last_name(self._keywords["nargs"])) or self._read("nargs")
        if nargs is None:
            return None
        if isinstance(nargs, str) and nargs in {"?", "*", "+"}:
            return nargs
        if isinstance(nargs, int) and not isinstance(nargs, bool) and 0 < nargs <= _MOST_VALUES:
            return nargs
        if nargs in {"...", "A..."}:
            raise NotUnderstoodError(f"{self.label} takes the rest of the command line")
        raise NotUnderstoodError(f"how many values {self.label} takes is not to be seen")

    def choices(self) -> list[Json] | range | None:
        """Tell the choices; None when there are none, or they are made at run time."""
        if not self.has("choices"):
            return None
        try:
            choices = self._scope.sequence(self._keywords["choices"])
        except NotStaticError:
            return None
        if isinstance(choices, range) and len(choices) <= _MOST_ENUMERATED:
            return list(choices)
        return choices

    def is_hidden(self) -> bool:
        """Tell whether the tool's own help leaves it out."""
        # The place of a positional matters even when nobody is told of it.
        return bool(self._flags) and last_name(self._keywords.get("help")) == "SUPPRESS"

    def description(self, parameter: Parameter) -> str:
        """Return the help, with `%(default)s` and its like filled in as argparse would."""
        text = self.static("help")
        if not isinstance(text, str):
            return ""
        known: dict[str, object] = {
            "dest": parameter.name,
            "metavar": self.static("metavar") or parameter.name.upper(),
            "type": self.type_name() or "str",
            "const": self.static("const"),
            "choices": ", ".join(str(choice) for choice in parameter.choices or ()),
            "default": "none" if isinstance(parameter.default, Unset) else parameter.default,
        }
        if isinstance(parameter.default, Unset):
            # "(default: %(default)s)" says nothing when nobody knows it.
            text = re.sub(r"\s*[(\[][^()\[\]]*%\(default\)[^()\[\]]*[)\]]", "", text)
        filled = re.sub(
            r"%\((\w+)\)[^a-zA-Z%]*[a-zA-Z]",
            lambda found: str(known.get(found[1], found[0])),
            text,
        )
        return " ".join(filled.replace("%%", "%").split())

    def _read(self, keyword: str) -> Json | Unset:
        if not self.has(keyword):
            return UNSET
        try:
            return self._scope.value(self._keywords[keyword])
        except NotStaticError:
            return UNSET

    def _declared_name(self, node: ast.expr) -> str:
        try:
            name = self._scope.value(node)
        except NotStaticError:
            raise NotUnderstoodError("an argument's name is made at run time") from None
        if isinstance(name, str) and name:
            return name
        raise NotUnderstoodError("an argument's name is not text")

    def _option(self) -> Parameter:
        # argparse takes the first long one for the name; to give it, it reads best too.
        long = [flag for flag in self._flags if flag[1:2] and flag[1] in self._prefix_chars]
        flag = (long or self._flags)[0]
        if not _FLAG.fullmatch(flag):
            raise NotUnderstoodError(f"the option {flag!r} cannot be given safely")
        dest = self.static("dest")
        if self.has("dest") and not isinstance(dest, str):
            raise NotUnderstoodError(f"the dest of {flag} is made at run time")
        return Parameter(dest if isinstance(dest, str) and dest else name_of_flag(flag), flag)

    def _positional(self, names: list[str]) -> Parameter:
        name = names[0] if names else self.static("dest")
        if isinstance(name, str) and name:
            return Parameter(name)
        raise NotUnderstoodError("an argument has no name")


def name_of_flag(flag: str) -> str:
    """Name an option as argparse does: `--dry-run` is `dry_run`."""
    return flag.lstrip(flag[0]).replace("-", "_")
