"""The pages that the shipped tools write, opened as the service serves them: in a sandbox."""

import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.waiting import until

pytestmark = pytest.mark.browser

TOOLS = Path(__file__).resolve().parents[2] / "tools"
HOSTILE = "</script ><script >alert(1)</script ><!--<script><img src=x onerror=alert(1)>"
POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:"
)


class SandboxHandler(SimpleHTTPRequestHandler):
    """Serves files under the policy that keeps an artifact from doing anything but draw."""

    def end_headers(self) -> None:
        """Add the policy to every answer."""
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # Its parent's name.
        """Say nothing."""


def write_notes(folder: Path) -> None:
    folder.mkdir()
    for number in range(12):
        text = f"---\ntitle: Note {number}\ntags: [even]\n---\n[[n{number + 1}]] Words of {number}."
        (folder / f"n{number}.md").write_text(text)
    (folder / "n12.md").write_text(f"---\ntitle: '{HOSTILE}'\n---\n{HOSTILE} [[n0]]")
    (folder / "n13.md").write_text("---\ntitle: Über Zürich\n---\nEin Käse, zwei Käse.")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address at which the pages of a small folder of notes are served."""
    folder = tmp_path_factory.mktemp("pages")
    write_notes(folder / "notes")
    for tool in ("build_graph", "build_index"):
        arguments = ["--knowledge", "notes", "--output", "."]
        subprocess.run(
            [sys.executable, str(TOOLS / f"{tool}.py"), *arguments],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def handler(*arguments: object) -> SandboxHandler:
        return SandboxHandler(*arguments, directory=str(folder))  # pyright: ignore[reportArgumentType]  # Passed on as they come.

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Give a Chromium: the system's if there is one, else Playwright's own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Give a page on which any error, dialog, complaint or request beside the first fails."""
    page = await browser.new_page(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    faults: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    await page.close()
    assert faults == []
    assert len([url for url in requests if not url.startswith("data:")]) == 1


async def test_the_graph_is_drawn_and_a_note_opens_from_the_keyboard(
    page: Page, address: str
) -> None:
    await page.goto(f"{address}/graph.html")
    await expect(page.locator("#figures")).to_have_text("14 notes · 13 links · 3 groups")
    painted = (
        "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    )
    await until(lambda: page.evaluate(painted), what="the graph to be painted")
    await page.keyboard.press("/")
    await page.keyboard.type("note 1")
    await expect(page.get_by_role("option")).to_have_count(3)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_have_text("Note 10")
    await page.locator("#panel").get_by_role("button", name="Note 11", exact=True).click()
    await expect(page.locator("#panel h2")).to_have_text("Note 11")
    await page.keyboard.press("Escape")
    await expect(page.locator("#panel")).to_be_hidden()


async def test_the_graph_can_be_walked_with_the_arrow_keys(page: Page, address: str) -> None:
    await page.goto(f"{address}/graph.html")
    await page.locator("canvas").focus()
    heard: set[str | None] = set()
    for key in ("ArrowLeft", "ArrowRight", "ArrowDown", "ArrowRight"):
        await page.keyboard.press(key)
        heard.add(await page.locator("#spoken").text_content())
    assert len(heard) > 1
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel")).to_be_visible()


async def test_a_note_opens_where_it_is_clicked_and_moves_where_it_is_dragged(
    page: Page, address: str
) -> None:
    await page.goto(f"{address}/graph.html")
    x, y = await page.evaluate("camera.toScreen(numberOf.get('n5.md'))")
    await page.mouse.click(x, y)
    await expect(page.locator("#panel h2")).to_have_text("Note 5")
    x, y = await page.evaluate("camera.toScreen(numberOf.get('n5.md'))")
    before = await page.evaluate("simulation.x[numberOf.get('n5.md')]")
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x - 80, y, steps=4)
    assert await page.evaluate("simulation.x[numberOf.get('n5.md')]") < before
    await page.mouse.up()


SETTLED = """async () => {
    const look = () => [camera.scale, ...camera.toWorld(500, 300)];
    const frame = () => new Promise(requestAnimationFrame);
    let before, same = 0;
    while (same < 10) {
        const now = look();
        same = before && now.join() === before.join() ? same + 1 : 0;
        before = now;
        await frame();
    }
    return before;
}"""
"""What the camera shows when it has been still for ten frames."""


async def test_wheel_and_buttons_zoom_about_the_right_place(page: Page, address: str) -> None:
    await page.goto(f"{address}/graph.html")
    before = await page.evaluate(SETTLED)
    await page.mouse.move(500, 300)
    await page.mouse.wheel(0, -400)
    zoomed = f"camera.scale > {before[0]}"
    await until(lambda: page.evaluate(zoomed), what="the wheel to zoom in")
    assert await page.evaluate("camera.toWorld(500, 300)") == pytest.approx(before[1:])
    await page.get_by_role("button", name="Show everything").click()
    back = f"Math.abs(camera.scale - {before[0]}) < 1"
    await until(lambda: page.evaluate(back), what="the button to show everything again")


async def test_the_legend_filters_by_group(page: Page, address: str) -> None:
    await page.goto(f"{address}/graph.html")
    group = page.locator("#legend button").first
    size = int(await group.locator(".muted").inner_text())
    await group.click()
    await expect(group).to_have_attribute("aria-pressed", "true")
    assert await page.evaluate("scene.lit.size") == size
    await group.click()
    assert await page.evaluate("scene.lit") is None


async def test_a_hostile_title_is_only_text(page: Page, address: str) -> None:
    await page.goto(f"{address}/graph.html")
    await page.keyboard.press("/")
    await page.keyboard.type("script")
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_have_text(HOSTILE)
    assert await page.locator("img").count() == 0


async def test_the_search_page_finds_marks_and_opens_notes_from_the_keyboard(
    page: Page, address: str
) -> None:
    await page.goto(f"{address}/search.html")
    await expect(page.get_by_role("option")).to_have_count(14)
    await page.keyboard.type("zurich kase")
    await expect(page.get_by_role("option")).to_have_count(1)
    await expect(page.locator("mark")).to_have_text(["Zürich", "Käse", "Käse"])
    await page.locator("#query").fill("words")
    await expect(page.get_by_role("option")).to_have_count(12)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator("li.open")).to_have_attribute("aria-selected", "true")
    await expect(page.locator("li").nth(1)).to_have_class("open")


async def test_the_search_page_forgives_a_slip_and_filters_by_tag(page: Page, address: str) -> None:
    await page.goto(f"{address}/search.html")
    await page.locator("#query").fill("wrods #even")
    await expect(page.get_by_role("option")).to_have_count(12)
    await page.locator("#query").fill("zurich #even")
    await expect(page.locator("#spoken")).to_have_text("Nothing found")
    await page.locator("#query").fill("script")
    await expect(page.get_by_role("option").get_by_role("heading")).to_have_text(HOSTILE)


def words_in_index(text: str) -> list[str]:
    code = "import sys; from _notes.index import find_words; print(*find_words(sys.argv[1]))"
    command = [sys.executable, "-X", "utf8", "-c", code, text]
    found = subprocess.run(command, cwd=TOOLS, capture_output=True, encoding="utf-8", check=True)
    return found.stdout.split()


@pytest.mark.parametrize(
    "text", ["ÜBER Straße", "Hōkūle\u02bba", "ΟΔΟΣ", "東京 ビル", "naïve½", "İ"]
)
async def test_page_and_tool_split_and_fold_words_alike(
    text: str, page: Page, address: str
) -> None:
    """Else a word in the index could not be found."""
    await page.goto(f"{address}/search.html")
    assert await page.evaluate("wordsOf", text) == words_in_index(text)
