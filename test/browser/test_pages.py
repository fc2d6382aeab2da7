"""Pages of one experiment and of several in, what a headless Chromium says of them out: errors, requests, layout."""

import os
from pathlib import Path

import pytest
from browser import Browser

pytestmark = pytest.mark.browser
DESKTOP, PHONE = 1280, 390  # pixels
SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder that gets a picture of each page


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["whole", "bare", "extreme", "compare"])
def test_a_page_is_whole_in_itself_and_fits(
    browser: Browser, pages: dict[str, Path], name: str, dark: bool, width: int
) -> None:
    seen = browser.open(pages[name], width=width, dark=dark)
    assert (seen.errors, seen.requests, seen.layout) == ([], [], [])
    assert browser.run("document.querySelectorAll('main section').length") >= 5
    if SCREENSHOTS:
        browser.screenshot(Path(SCREENSHOTS) / f"{name}_{width}_{'dark' if dark else 'light'}.png")


RECTANGLE = """((selector) => {
    const element = document.querySelector(selector);
    element.scrollIntoView({block: "center", behavior: "instant"});
    const box = element.getBoundingClientRect();
    return [box.left, box.top, box.width, box.height];
})"""
CHART_WORDS = ["layer 1", "mine: 0.65", "MFCC: 0.61"]


@pytest.mark.parametrize(("selector", "words"), [("svg[data-chart]", CHART_WORDS), ("svg[data-heat]", ["unit", "%"])])
def test_a_chart_tells_its_values_under_the_pointer(
    browser: Browser, pages: dict[str, Path], selector: str, words: list[str]
) -> None:
    browser.open(pages["whole"], width=DESKTOP)
    left, top, width, height = browser.run(f"{RECTANGLE}('{selector}')")
    browser.move_pointer(left + 0.3 * width, top + 0.2 * height)
    shown = browser.run("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
    assert all(word in shown for word in words), shown
    browser.move_pointer(2, 2)
    assert browser.run("document.getElementById('tip').hidden")


def test_a_click_into_a_spectrogram_plays_from_there(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["whole"], width=DESKTOP)
    left, top, width, _ = browser.run(f"{RECTANGLE}('.speech')")
    browser.click(left + width / 2, top + 60)
    second, seconds, is_playing = browser.run("""(async () => {
        const audio = document.querySelector("audio"), end = Date.now() + 20000;
        while (!audio.currentTime && Date.now() < end) await new Promise((done) => setTimeout(done, 20));
        return [audio.currentTime, audio.duration, !audio.paused];
    })()""")
    assert seconds == pytest.approx(3.0, abs=0.05) and 1.4 <= second <= 3.0 and is_playing


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<script>nowhere()</script>", "nowhere is not defined"),
        ('<img src="http://localhost:9/a.png" style="height: 30px">', "http://localhost:9/a.png"),
        ('<link rel="stylesheet" href="beside.css">', "beside.css"),
        ('<div id="wide" style="width: 500px; height: 30px">x</div>', "div wide reaches from"),
        ('<p style="width: 100px; white-space: nowrap">A line that is longer than its box.</p>', "pixels in 100"),
        ("<section></section>", "section is empty"),
        ('<svg width="100" height="30"><text x="90" y="20">too far right</text></svg>', "leaves its chart"),
    ],
)
def test_what_is_wrong_with_a_page_is_seen(browser: Browser, tmp_path: Path, body: str, fault: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta name="viewport" content="width=device-width"><body>{body}</body>')
    seen = browser.open(page, width=PHONE)
    assert any(fault in text for text in [*seen.errors, *seen.requests, *seen.layout]), seen
