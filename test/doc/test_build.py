"""The pages of doc/ in, those that Sphinx warns about, lead nowhere or need the network out."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from repository import ROOT

FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("audio", "src")}


class Links(HTMLParser):
    """Addresses of a page: what a browser fetches by itself, and where it can lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") in ("next", "prev", "index", "search", "canonical"):
            return
        for name, value in attrs:
            if value and (tag, name) in FETCHED:
                self.fetched.append(value)
            elif value and (tag, name) == ("a", "href"):
                self.links.append(value)


def build(source: Path, configuration: Path, target: Path) -> subprocess.CompletedProcess:
    """Run Sphinx; warnings are errors."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-c", str(configuration)]
    command += ["-d", str(target / "doctrees"), str(source), str(target / "html")]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    target = tmp_path_factory.mktemp("doc")
    result = build(ROOT, ROOT / "doc", target)
    assert result.returncode == 0, result.stderr
    return target / "html"


def test_every_page_is_built(html: Path) -> None:
    expected_pages = [path.relative_to(ROOT).with_suffix(".html") for path in (ROOT / "doc").rglob("*.md")]
    expected_pages = [path for path in expected_pages if path.parts[1] != "_build"]
    assert len(expected_pages) > 20 and not [str(path) for path in expected_pages if not (html / path).is_file()]
    assert "doc/index.html" in (html / "index.html").read_text()


def test_a_notebook_is_a_page_with_its_pictures_and_sound(html: Path) -> None:
    page = (html / "doc/notebooks/first_model.html").read_text()
    assert page.count('<img alt="') == 2 and page.count("data:image/png;base64,") == 2 and "<audio" in page
    assert 'href="../tutorial.html#your-own-audio"' in page and "<td><p>untrained</p></td>" in page


def test_nothing_comes_from_the_network(html: Path) -> None:
    for page in html.rglob("*.html"):
        outside = [address for address in Links(page.read_text()).fetched if re.match(r"(\w+:)?//", address)]
        assert not outside, f"{page.name}: {outside}"
    for style in html.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text()), style.name


def test_every_link_inside_leads_somewhere(html: Path) -> None:
    broken = []
    for page in html.rglob("*.html"):
        for address in Links(page.read_text()).links:
            parts = urlsplit(address)
            target = (page.parent / unquote(parts.path)).resolve()
            if not parts.scheme and parts.path and not target.exists():
                broken.append(f"{page.relative_to(html)}: {address}")
    assert not broken, "\n".join(broken)


def test_files_outside_doc_are_shown_as_text(html: Path) -> None:
    config = "egs2/TEMPLATE/ssl1/conf/train_hubert_base_augment.yaml"
    assert f"_repository/{config}.txt" in (html / "doc/augmentation.html").read_text()
    assert (html / f"_repository/{config}.txt").read_text() == (ROOT / config).read_text()


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "doc").mkdir(parents=True)
    (source / "doc/index.md").write_text("# Page\n\n[there](other.md) [a folder](../empty)\n")
    (source / "empty").mkdir()
    result = build(source, ROOT / "doc", tmp_path / "built")
    assert result.returncode != 0
    assert "other.md" in result.stderr and "a folder without README.md" in result.stderr
