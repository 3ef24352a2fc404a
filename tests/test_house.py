"""The drawings in the documents are tested: they show the code as it is."""

import re
import tomllib

from starlette.routing import Route

from service.api import ROUTES
from service.cron import CRON_JOBS
from service.queue.timetable import read_timetable
from service.store.states import MOVES
from service.tools.options import KEYS
from tests.house import ARCHITECTURE, README, ROOT, settings_in_readme, settings_table


def test_the_readme_lists_every_setting_as_the_code_has_it() -> None:
    """When this fails, `python -m tests.house` writes the table anew."""
    assert settings_in_readme() == settings_table()


def test_every_setting_explains_itself() -> None:
    assert not re.search(r"\| *\|\n", settings_table())


def test_the_state_diagram_shows_the_legal_moves_and_no_other() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+): (\w+)$", ARCHITECTURE.read_text(), re.MULTILINE))
    legal = {
        (str(source), str(move.target), str(name))
        for name, move in MOVES.items()
        for source in move.sources
    }
    assert drawn == legal


def test_the_readme_names_every_address_of_the_api() -> None:
    text = README.read_text()
    for route in ROUTES:
        assert isinstance(route, Route)
        path = re.sub(r":\w+}", "}", route.path)
        is_told = path in text or path.removesuffix("/artifacts/{name}") in text
        assert is_told, f"{path} is not in the README"


def test_the_map_lists_what_runs_by_the_clock() -> None:
    told = re.findall(r"^\| `(\w+)` \| `(\w+)` \| \w+", ARCHITECTURE.read_text(), re.MULTILINE)
    assert told == [(entry.name, entry.queue) for entry in read_timetable(CRON_JOBS)]


def test_the_readme_names_every_key_of_a_tools_table() -> None:
    """But for `workspace`, of which there is one kind so far."""
    text = README.read_text()
    untold = [key for key in KEYS if f"`{key}`" not in text and f"\n# {key} = " not in text]
    assert untold == ["workspace", "parameters"]


def test_the_map_names_every_room() -> None:
    text = ARCHITECTURE.read_text()
    for path in (ROOT / "service").iterdir():
        if path.name.startswith("__") or (path.is_dir() and not list(path.glob("*.py"))):
            continue
        name = f"{path.name}/" if path.is_dir() else path.name
        assert re.search(rf"^  {re.escape(name)} ", text, re.MULTILINE), f"{name} is not on the map"


def test_the_map_draws_the_layers_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [layers] = [
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    drawn = "\n".join(
        "   ".join(layer.strip("()").split(" | ")) for layer in layers if layer != "(cron)"
    )
    assert f"```\n{drawn}\n```" in ARCHITECTURE.read_text()
