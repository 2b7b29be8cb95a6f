"""The report in a browser: numbers as those of the command line, nothing is loaded."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product, paths
from rixs_pipeline.config import Config, Region
from rixs_pipeline.io import nexus
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.stages.sample.region_spectra import extract_region
from tests.conftest import copied
from tests.without_figures import leave_out_figures

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: set CHROMIUM")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DRAWN = "document.body.dataset.drawn === 'all' && window.view && window.view.spectra"
NO_LIMITS = dict.fromkeys(("incident", "emission", "loss", "cut", "step"))
REGIONS = {
    "yield": {"kind": "pfy", "emission": [762.13, 800.07]},
    "part of the scan": {
        "kind": "pfy",
        "emission": [770.1, 785.35],
        "incident": [776.0, 790.0],
    },
    "loss": {"kind": "pfy", "loss": [-2.25, 40.1]},
    "everything": {"kind": "pfy"},
    "few counts": {"kind": "pfy", "emission": [899.9, 903.31]},
    "emission": {"kind": "xes", "emission": [700.2, 820.6]},
    "cut": {"kind": "xes", "cut": 781.3},
    "wide bins": {"kind": "xes", "emission": [700.2, 820.6], "step": 2.0},
    "wide bins of a band": {"kind": "xes", "loss": [-20.0, 200.0], "step": 1.5},
    "band": {"kind": "xes", "incident": [778.0, 783.0], "loss": [-20.0, 200.0]},
}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Opened:
    """A page with a report, and what it asked for and complained about."""

    def __init__(self, browser, path: Path, **options):
        self.page = browser.new_page(**options)
        self.messages, self.requests = [], []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.wait_for(DRAWN)

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true; the page itself allows no `eval`."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{expression}: {self.messages}")

    def show(self, region) -> None:
        """Show a region of the first map."""
        self.page.evaluate("region => view.select(0, region)", {**NO_LIMITS, **region})

    def spectrum(self):
        """Return the spectrum that is shown."""
        points = self.page.evaluate("view.spectra[0]")
        return {key: np.array([p[key] for p in points], float) for key in points[0]}


@pytest.fixture(scope="module")
def out(tmp_path_factory, sample_beamtime, reduced_sample):
    """The reduced sample with its report, without figures."""
    folder = tmp_path_factory.mktemp("report")
    beamtime, out = copied(sample_beamtime, reduced_sample, folder)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_figures(patched)
        run(beamtime, Config(), out, Options())
    return out


@pytest.fixture(scope="module")
def report(browser, out):
    return Opened(browser, paths.report(out))


@pytest.fixture(scope="module")
def first_map(report, out):
    shown = report.page.evaluate("[view.map.sample, view.map.edge]")
    return open_product(paths.map_product(out, *shown))


def test_the_page_is_complete(report):
    assert report.messages == []
    assert len(report.requests) == 1  # the page itself


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS.keys())
def test_spectra_are_those_of_the_command_line(report, first_map, region):
    report.show(region)
    shown = report.spectrum()
    mapping = dict(region)
    if (cut := mapping.pop("cut", None)) is not None:
        mapping["cuts"] = [cut]
    expected = extract_region(first_map, Region.model_validate(mapping))
    axis = "emission_energy" if region["kind"] == "xes" else "incident_energy"
    for name, stored in {
        "energy": axis,
        "intensity": "intensity",
        "error": "intensity_errors",
        "photons": "counts",
    }.items():
        np.testing.assert_allclose(
            shown[name], expected[stored].values, rtol=1e-12, err_msg=name
        )
    for name in ("lower", "upper"):
        np.testing.assert_allclose(
            shown[name], expected[f"intensity_{name}"].values, rtol=1e-6, atol=1e-15
        )


def test_regions_of_the_config_are_the_spectra_on_disk(report, out):
    sample, edge = report.page.evaluate("[view.map.sample, view.map.edge]")
    on_disk = nexus.read_entries(paths.spectra_product(out, sample, edge))
    regions = report.page.evaluate("view.map.regions")
    assert regions
    for region in regions:
        if region["name"] not in on_disk:  # one with a background
            continue
        report.show(region["region"])
        expected = on_disk[region["name"]]["intensity"].values
        np.testing.assert_allclose(report.spectrum()["intensity"], expected, rtol=1e-12)


def test_a_region_is_drawn_dragged_and_moved_by_keys(report):
    report.show({"kind": "pfy", "emission": [762.0, 800.0]})
    frame = report.page.evaluate("view.place.frame")
    report.page.locator("canvas").scroll_into_view_if_needed()
    box = report.page.locator("canvas").bounding_box()
    x, y = box["x"] + frame["left"] + 60, box["y"] + frame["bottom"] - 60
    mouse = report.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 80, y - 90, steps=4)
    mouse.up()
    report.wait_for("view.state.region.incident !== null")
    drawn = report.page.evaluate("view.state.region")
    limits = report.page.evaluate(
        f"[view.place.x[2].inverse({frame['left'] + 60}), "
        f"view.place.x[2].inverse({frame['left'] + 140})]"
    )
    np.testing.assert_allclose(drawn["incident"], limits, atol=0.2)
    mouse.move(x + 80, y - 40)  # the right border
    mouse.down()
    mouse.move(x + 120, y - 40, steps=4)
    mouse.up()
    report.page.wait_for_timeout(100)
    wider = report.page.evaluate("view.state.region")
    assert wider["incident"][1] > drawn["incident"][1]
    assert wider["emission"] == drawn["emission"]
    report.page.locator("canvas").press("ArrowUp")
    report.page.wait_for_timeout(100)
    moved = report.page.evaluate("view.state.region")
    assert moved["emission"][0] > wider["emission"][0]
    yaml = report.page.locator("pre").first.text_content()
    assert f"incident: [{', '.join(map(str, moved['incident']))}]" in yaml


def test_the_view_survives_loading_again(browser, out):
    report = Opened(browser, paths.report(out))
    report.show({"kind": "xes", "emission": [770.0, 790.0]})
    report.page.evaluate("view.set({axis: 'loss'})")
    report.page.reload()
    report.wait_for(DRAWN)
    state = report.page.evaluate("view.state")
    assert state["axis"] == "loss"
    assert state["region"]["emission"] == [770, 790]


def test_a_second_map_is_compared(report):
    report.show({"kind": "pfy", "emission": [762.0, 800.0]})
    others = report.page.evaluate("[...view.choices.other.options].map(o => o.value)")
    report.page.evaluate(f"view.set({{other: {others[1]}, view: 'significance'}})")
    report.wait_for("view.spectra.length === 2")
    assert "standard errors" in report.page.locator(".overlay").text_content()
    report.page.evaluate("view.set({other: -1})")


@pytest.mark.parametrize("width", [390, 800, 1300])
def test_the_page_fits_the_screen(browser, out, width):
    size = {"width": width, "height": 800}
    report = Opened(browser, paths.report(out), viewport=size)
    assert report.page.evaluate("document.documentElement.scrollWidth") <= width


def test_names_from_data_are_text(browser, tmp_path, out):
    text = paths.report(out).read_text()
    bad = "<img src=x onerror=alert(1)></script>"
    start = text.index('"rows":[')
    name = text[start:].split('"sample":"')[1].split('"')[0]
    page = tmp_path / "report.html"
    escaped = bad.replace("<", "\\u003c")
    page.write_text(text.replace(f'"sample":"{name}"', f'"sample":"{escaped}"'))
    report = Opened(browser, page)
    assert report.messages == []
    assert report.page.locator("img").count() == 0
    assert bad in report.page.locator("#overview").text_content()
