"""What a tool says of itself in the `[tool.data20]` table of its script block."""

import re
import tomllib
from dataclasses import fields
from typing import Annotated, Any, Literal, cast

from pydantic import (
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from service.config import MOST_DELAY_SECONDS, QUEUES

TOOL_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")

_CLOSED = ConfigDict(extra="forbid")

_Text = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
_Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
_Number = _Whole | Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Scalar = StrictBool | _Number | StrictStr
_Delay = Annotated[float, Field(strict=True, ge=0, le=MOST_DELAY_SECONDS, allow_inf_nan=False)]


class OptionsError(Exception):
    """The script block breaks a rule; the message names the key and the rule."""


@dataclass(frozen=True, slots=True, config=_CLOSED)
class ParameterOptions:
    """What the table adds to one parameter."""

    title: _Text | None = None
    minimum: _Number | None = None
    maximum: _Number | None = None
    examples: list[_Scalar] | None = None
    enum: Annotated[list[_Scalar], Field(min_length=1)] | None = None


@dataclass(frozen=True, slots=True, config=_CLOSED)
class Options:
    """What a tool asks for; None leaves it to the service's settings. Times are seconds."""

    name: Annotated[str, Field(strict=True, pattern=f"^{TOOL_NAME.pattern}$")] | None = None
    """For a file that cannot be called as its tool is: `statistics.py` would hide Python's own."""
    title: _Text | None = None
    category: _Text | None = None
    queue: StrictStr | None = None
    soft_time_limit: Annotated[int, Field(strict=True, ge=1)] | None = None
    time_limit: Annotated[int, Field(strict=True, ge=1)] | None = None
    max_retries: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    retry_delay: _Delay | None = None
    priority: Annotated[int, Field(strict=True, ge=1, le=10)] | None = None
    workspace: Literal["job"] | None = None
    parameters: dict[str, ParameterOptions] = Field(default_factory=dict[str, ParameterOptions])


KEYS = tuple(field.name for field in fields(Options))
"""Every key the table may hold."""

_ADAPTER = TypeAdapter(Options)


def read_options(source: str) -> Options:
    """Read the `[tool.data20]` table of the script block in *source*.

    Without a block, or without the table in it, all is None. Raises OptionsError.
    """
    block = _script_block(source)
    if block is None:
        return Options()
    try:
        document = tomllib.loads(block)
    except tomllib.TOMLDecodeError as error:
        raise OptionsError(f"the script block is not TOML: {error}") from None
    tool: Any = document.get("tool")
    table: object = (
        cast("dict[str, object]", tool).get("data20", {}) if isinstance(tool, dict) else {}
    )
    try:
        options = _ADAPTER.validate_python(table)
    except ValidationError as error:
        raise OptionsError("; ".join(_sentences(error))) from None
    _check_together(options)
    return options


def _check_together(options: Options) -> None:
    """Check the rules that one key alone cannot break."""
    if options.queue is not None and options.queue not in QUEUES:
        raise OptionsError(f"[tool.data20] queue must be one of {', '.join(QUEUES)}")
    soft, hard = options.soft_time_limit, options.time_limit
    if soft is not None and hard is not None and soft > hard:
        raise OptionsError("[tool.data20] soft_time_limit must not be above time_limit")
    for name, extra in options.parameters.items():
        low, high = extra.minimum, extra.maximum
        if low is not None and high is not None and low > high:
            raise OptionsError(f"[tool.data20] parameters.{name}.minimum is above its maximum")


def _sentences(error: ValidationError) -> list[str]:
    sentences: dict[str, None] = {}
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"] if _is_key(part))
        if fault["type"] == "unexpected_keyword_argument":
            sentences[f"[tool.data20] has an unknown key {where}"] = None
        else:
            sentences[f"[tool.data20] {where or 'table'}: {fault['msg']}"] = None
    return list(sentences)


def _is_key(part: int | str) -> bool:
    """Tell keys from the names pydantic gives the members of a union."""
    return str(part).removeprefix("constrained-") not in {"bool", "int", "float", "str"}


def _script_block(source: str) -> str | None:
    """Cut the inline metadata out of *source*; None when it has none.

    The format is the one PyPA specifies under "Inline script metadata" (PEP 723). A block
    that is never closed is none, as the specification has it. Raises OptionsError when there
    is more than one.
    """
    lines = source.splitlines()
    blocks: list[str] = []
    at = 0
    while at < len(lines):
        if lines[at] != "# /// script":
            at += 1
            continue
        end = at + 1
        while end < len(lines) and (lines[end] == "#" or lines[end].startswith("# ")):
            end += 1
        # The last closing line counts: one before it may be part of the TOML.
        closing = [i for i in range(at + 1, end) if lines[i] == "# ///"]
        if closing:
            blocks.append("\n".join(line[2:] for line in lines[at + 1 : closing[-1]]))
        at = end
    if len(blocks) > 1:
        raise OptionsError("there is more than one script block")
    return blocks[0] if blocks else None
