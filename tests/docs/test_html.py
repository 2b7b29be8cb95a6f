"""The built pages show everything without a network, formulas too."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import made_once
from tests.docs.pages import DOCS

pytest.importorskip("sphinx_book_theme")
pytestmark = pytest.mark.slow

PAGES = ("index", "explanation/comparison", "notebooks/quick_look", "reference/python")

# what a browser loads by itself; links (`a`) are followed by people
LOADED = re.compile(
    r"<(?:script|img|iframe|source|embed|object)\b[^>]*\b(?:src|data)=\"(?P<src>[^\"]*)\""
    r"|<link\b[^>]*\bhref=\"(?P<href>[^\"]*)\"|url\([\"']?(?P<url>[^)\"']*)"
    r"|@import [\"'](?P<style>[^\"']*)"
)


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> Path:
    """The folder of the built pages; warnings of Sphinx are errors."""

    def make(folder: Path) -> None:
        options = ["-W", "--keep-going", "-q", "-d", f"{folder}-doctrees"]
        command = [sys.executable, "-m", "sphinx", *options, DOCS, folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "html", make)


def test_pages_load_nothing_from_outside(html: Path) -> None:
    outside = {
        (str(path.relative_to(html)), address)
        for pattern in ("*.html", "*.css")
        for path in html.rglob(pattern)
        for match in LOADED.finditer(path.read_text(encoding="utf-8"))
        for address in match.groupdict("").values()
        if re.match(r"(https?:)?//", address)
    }
    assert outside == set()


def test_formulas_are_mathml(html: Path) -> None:
    page = (html / "explanation" / "comparison.html").read_text(encoding="utf-8")
    assert '<div class="math"><math' in page
    pages = [path.read_text(encoding="utf-8") for path in html.rglob("*.html")]
    assert not any("math notranslate" in page or "<merror" in page for page in pages)


def test_a_browser_asks_for_files_only(html: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium: set CHROMIUM")
    requests: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for width in (1300, 400):
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.on("request", lambda request: requests.append(request.url))
            for name in PAGES:
                page.goto((html / f"{name}.html").as_uri())
                scrolled = page.evaluate("document.documentElement.scrollWidth")
                assert scrolled <= width, f"{name} is wider than {width} pixels"
        browser.close()
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def test_every_public_name_is_on_the_page_on_python(html: Path) -> None:
    from rixs_pipeline.accessor import RixsAccessor

    page = (html / "reference" / "python.html").read_text(encoding="utf-8")
    methods = [name for name in vars(RixsAccessor) if not name.startswith("_")]
    for name in methods:
        assert f'id="rixs_pipeline.accessor.RixsAccessor.{name}"' in page
    assert 'id="rixs_pipeline.open_product"' in page
