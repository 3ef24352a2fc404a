"""HTML pages that stand alone: one file, no request, under the strictest of policies."""

import html
import json
import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "pages"
_STYLE = re.compile(r'<link rel="stylesheet" href="(\w+\.css)">')
_SCRIPT = re.compile(r'<script src="(\w+\.js)"></script>')
_DATA = '<script type="application/json" id="data"></script>'
_TITLE = re.compile(r"<title>.*?</title>")


def write_page(path: Path, template: str, *, title: str, data: object) -> None:
    """Write the page *template* with its styles, its scripts and *data* put into it.

    Nothing in *data* can end the element it stands in: `<` never occurs there.
    """
    page = (_FOLDER / template).read_text(encoding="utf-8")
    page = _TITLE.sub(lambda _: f"<title>{html.escape(title)}</title>", page)
    page = _STYLE.sub(lambda found: f"<style>\n{_read(found[1])}</style>", page)
    page = _SCRIPT.sub(lambda found: f"<script>\n{_read(found[1])}</script>", page)
    head, _, tail = page.partition(_DATA)
    filled = _DATA.replace("></script>", f">{_embed(data)}</script>")
    path.write_text(head + filled + tail, encoding="utf-8")


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _embed(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
