"""Reports and documentation at three widths, light and dark -> what axe-core and the keyboard find."""

from pathlib import Path

import pytest
from axe import violations
from browser import Browser

pytestmark = pytest.mark.browser
WIDTHS = (1280, 768, 390)  # pixels: a desk, a tablet, a phone


# Pages with more of the same are judged once: axe-core looks at every cell of a heat map.
REPORTS = [(name, width, dark) for name in ("whole", "compare") for width in WIDTHS for dark in (False, True)]


@pytest.mark.parametrize(("name", "width", "dark"), [*REPORTS, ("bare", 768, False), ("extreme", 390, True)])
def test_axe_finds_nothing_in_a_report(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browser.open(pages[name], width=width, dark=dark)
    assert violations(browser) == []


@pytest.mark.parametrize("name", ["whole", "compare"])
def test_the_keyboard_reaches_every_link_in_order_and_shows_where_it_is(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name], width=WIDTHS[0])
    selector = "a[href], button, summary, audio, input, select, [tabindex='0']"
    expected = browser.run(f"document.querySelectorAll({selector!r}).length")
    assert expected >= 5
    reached = browser.tab_stops(limit=4 * expected + 50)
    # An audio player has stops of its own inside.
    assert len({stop.element for stop in reached}) >= expected
    assert [stop.html for stop in reached if not stop.is_marked] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_in_the_text_of_the_documentation(
    browser: Browser, documentation: Path, dark: bool, width: int
) -> None:
    """The theme's frame around the text is not ours."""
    complaints: list[str] = []
    for name in ("index", "tutorial", "notebooks/first_model", "evaluation", "objectives", "reference/options"):
        seen = browser.open(documentation / f"doc/{name}.html", width=width, dark=dark, unfold=False)
        assert seen.errors == [], name
        complaints += [f"{name}: {line}" for line in violations(browser, "document.querySelector('article')")]
        wide = browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels wider than the window of {width}"
    assert complaints == []


BAD_PAGE = """<!doctype html><html lang=en><title>t</title><main><h1>t</h1>{}</main></html>"""


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "image-alt"),
        ("<p style='color: #ccc; background: #fff'>grey</p>", "color-contrast"),
        ("<button></button>", "button-name"),
    ],
)
def test_axe_finds_what_is_wrong(browser: Browser, tmp_path: Path, body: str, rule: str) -> None:
    (tmp_path / "page.html").write_text(BAD_PAGE.format(body))
    browser.open(tmp_path / "page.html", width=WIDTHS[0])
    assert any(line.startswith(rule) for line in violations(browser))
