"""What the documents draw of the code: read from the code, so that a test can compare them.

`python -m tests.house` writes the settings into the README anew.
"""

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from service.config import Settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"

_SECTION = re.compile(r"(<!-- settings:[^\n]*-->\n).*?(<!-- end of settings -->)", re.DOTALL)
_PLAIN = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


def settings_table() -> str:
    """Return the table of settings, one line each in the order of the code."""
    lines = ["| Setting | Default | What it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = _PLAIN.get(name, f"DATA20_{name.upper()}")
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{variable}` | {_default(field.default)} | {meaning} |")
    return "\n".join(lines) + "\n"


def settings_in_readme() -> str:
    """Return the table as it stands in the README."""
    found = _SECTION.search(README.read_text())
    assert found is not None
    return found[0].removeprefix(found[1]).removesuffix(found[2])


def write_settings() -> None:
    """Put today's table into the README."""
    text = _SECTION.sub(lambda found: found[1] + settings_table() + found[2], README.read_text())
    README.write_text(text)


def _default(value: object) -> str:
    if value is None or value == "" or value is PydanticUndefined:
        return ""
    if isinstance(value, tuple):
        separator = ":" if any(isinstance(each, Path) for each in value) else ","  # pyright: ignore[reportUnknownVariableType]  # Of any type.
        return f"`{separator.join(str(each) for each in value)}`"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # Of any type.
    return f"`{value}`"


if __name__ == "__main__":
    write_settings()
