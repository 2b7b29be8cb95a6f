"""The report in a browser: numbers as those of the command line, nothing is loaded."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline import open_product, paths
from rixs_pipeline.config import Config, Region
from rixs_pipeline.core.maps.map_difference import (
    MapArrays,
    map_difference,
    rebinned_intensity,
)
from rixs_pipeline.io import nexus
from rixs_pipeline.report.page import page
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.stages.html_report.maps import packed_map
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


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.6886, 0.1743, "1.69 ± 0.17"),
        (-0.00779, 0.0152, "-0.008 ± 0.015"),
        (2.018e-9, 4.5e-9, "(2.0 ± 4.5)e-9"),
        (128187.0, 352.0, "(1281.9 ± 3.5)e2"),
        (0.998, 0.0996, "1.00 ± 0.10"),
        (851.47, 0, "851.5"),
        (None, None, ""),
    ],
)
def test_values_have_the_digits_of_their_errors(report, value, error, text):
    assert report.page.evaluate("pair => withError(...pair)", [value, error]) == text


def test_runs_stand_in_order_of_time(report, out):
    names = report.page.evaluate("DATA.cuts.map(run => run.name)")
    summary = json.loads((out / "run.json").read_text())
    runs = [name for name, item in summary["items"].items() if "cuts" in item]
    assert sorted(names) == sorted(runs)
    scans = [name for name in names if name.startswith("scan")]
    assert scans == sorted(scans)


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
    report.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    scrolled = report.page.evaluate("window.scrollY")
    assert scrolled > 2000  # below what is drawn at first
    report.page.wait_for_timeout(200)
    report.page.evaluate("location.reload()")
    report.page.wait_for_timeout(500)
    report.wait_for(DRAWN)
    assert report.page.evaluate("window.scrollY") == pytest.approx(scrolled, abs=2)
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


def arrays_of(rixs_map, together):
    """A map as the page has it: ascending points, bins taken together."""
    ordered = rixs_map.sortby("incident_energy")
    counts = ordered["counts"].transpose("incident_energy", "emission_energy").values
    n_rows = counts.shape[1] // together
    joined = counts[:, : n_rows * together].reshape(len(counts), n_rows, together)
    return MapArrays(joined.sum(axis=2), ordered["exposure"].values)


@pytest.mark.parametrize(("together", "least"), [(1, 25), (2, 100)])
def test_blocks_are_those_of_the_figures(report, out, together, least):
    report.show({"kind": "pfy", "emission": [762.0, 800.0]})
    other = report.page.evaluate("Number(view.choices.other.options[1].value)")
    edge, *samples = report.page.evaluate(
        f"[view.map.edge, view.map.sample, view.maps[{other}].sample]"
    )
    opened = [open_product(paths.map_product(out, name, edge)) for name in samples]
    first, second = (arrays_of(rixs_map, together) for rixs_map in opened)
    np.testing.assert_array_equal(*(m["incident_energy"] for m in opened))
    step = np.diff(opened[0]["emission_energy_edges"].values)[0]
    widths = np.full(first.counts.shape[1], together * step)
    # the page subtracts B from A, and divides none of them
    difference = map_difference(second, first, widths, 1.0, least)
    expected = {
        "A": rebinned_intensity(first, widths, least),
        "B": rebinned_intensity(second, widths, least),
        "A - B": difference.intensity,
        "significance": difference.significance,
    }
    for view, values in expected.items():
        state = {"other": other, "view": view, "bins": together, "least": least}
        report.page.evaluate("state => view.set(state)", state)
        report.wait_for("view.spectra.length === 2")
        shown = np.array(report.page.evaluate("[...view.shown.values]"), float)
        assert len(np.unique(shown)) > 20  # many blocks
        np.testing.assert_allclose(
            shown.reshape(values.shape), values, rtol=1e-9, atol=1e-12, err_msg=view
        )
    note = report.page.locator(".note").text_content()
    assert f"blocks of at least {least} photons" in note
    report.page.evaluate("view.set({other: -1, bins: 0, least: 0})")


def place_of(report, incident, emission):
    """Where a point of the map is on the screen."""
    report.page.locator("canvas").scroll_into_view_if_needed()
    box = report.page.locator("canvas").bounding_box()
    x, y = report.page.evaluate(
        f"[view.place.x[2]({incident}), view.place.y[2]({emission})]"
    )
    return box["x"] + x, box["y"] + y


def test_a_cut_is_dragged(report):
    report.show({"kind": "xes", "cut": 781.0})
    mouse = report.page.mouse
    mouse.move(*place_of(report, 781.0, 700.0))
    mouse.down()
    mouse.move(*place_of(report, 786.0, 700.0), steps=4)
    mouse.up()
    report.page.wait_for_timeout(100)
    region = report.page.evaluate("view.state.region")
    assert region["cut"] == pytest.approx(786.0, abs=0.2)
    assert region["incident"] is None and region["emission"] is None


def test_moving_a_region_sets_no_limits_that_it_lacks(report):
    report.show({"kind": "pfy", "emission": [700.0, 800.0]})
    mouse = report.page.mouse
    mouse.move(*place_of(report, 785.0, 750.0))
    mouse.down()
    mouse.move(*place_of(report, 787.0, 760.0), steps=4)
    mouse.up()
    report.page.wait_for_timeout(100)
    region = report.page.evaluate("view.state.region")
    np.testing.assert_allclose(region["emission"], [710.0, 810.0], atol=3.0)
    assert region["incident"] is None


class Finger:
    """Touches of a page as the browser gets them from a screen."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)
        self.page = page

    def swipe(self, start, end, steps=8):
        self._touch("touchStart", start)
        for step in range(1, steps + 1):
            share = step / steps
            place = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
            self._touch("touchMove", place)
            self.page.wait_for_timeout(20)
        self._touch("touchEnd", None)
        self.page.wait_for_timeout(300)

    def _touch(self, kind, place):
        points = [] if place is None else [{"x": place[0], "y": place[1]}]
        parameters = {"type": kind, "touchPoints": points}
        self.session.send("Input.dispatchTouchEvent", parameters)


@pytest.fixture
def phone(browser, out):
    size = {"width": 360, "height": 740}
    opened = Opened(browser, paths.report(out), viewport=size, has_touch=True)
    yield opened
    opened.page.close()


def test_a_finger_moves_and_resizes_a_region(phone):
    limits = {"emission": [600.0, 700.0], "incident": [776.0, 790.0]}
    phone.show({"kind": "pfy", **limits})
    finger = Finger(phone.page)
    start = place_of(phone, 783.0, 650.0)
    scrolled = phone.page.evaluate("window.scrollY")
    finger.swipe(start, place_of(phone, 783.0, 700.0))  # upwards, where a page scrolls
    assert phone.page.evaluate("window.scrollY") == scrolled
    moved = phone.page.evaluate("view.state.region")
    np.testing.assert_allclose(moved["emission"], [650.0, 750.0], atol=8.0)
    assert np.ptp(moved["emission"]) == pytest.approx(100.0, abs=0.2)
    # the right border, a little outside of it
    x, y = place_of(phone, 790.0, np.mean(moved["emission"]))
    finger.swipe((x + 10, y), (x + 40, y))
    resized = phone.page.evaluate("view.state.region")
    assert resized["incident"][1] > moved["incident"][1] + 1
    assert resized["incident"][0] == moved["incident"][0]
    assert resized["emission"] == moved["emission"]
    assert phone.messages == []


def test_a_finger_beside_the_region_draws_or_scrolls(phone):
    region = {"kind": "pfy", "emission": [780.0, 800.0], "incident": [795.0, 800.0]}
    phone.show(region)
    finger = Finger(phone.page)
    x, y = place_of(phone, 780.0, 500.0)
    scrolled = phone.page.evaluate("window.scrollY")
    finger.swipe((x, y), (x, y - 120))
    assert phone.page.evaluate("window.scrollY") > scrolled
    unchanged = phone.page.evaluate("view.state.region")
    assert unchanged["emission"] == region["emission"]
    assert unchanged["incident"] == region["incident"]
    x, y = place_of(phone, 776.0, 500.0)
    finger.swipe((x, y), (x + 60, y - 30))
    drawn = phone.page.evaluate("view.state.region")
    assert drawn["incident"][0] == pytest.approx(776.0, abs=1.5)
    assert drawn["emission"][0] == pytest.approx(500.0, abs=15.0)


@pytest.mark.parametrize("width", [360, 390, 800, 1300, 1400])
def test_the_page_fits_the_screen(browser, out, width):
    size = {"width": width, "height": 800}
    report = Opened(browser, paths.report(out), viewport=size)
    assert report.page.evaluate("document.documentElement.scrollWidth") <= width


def large_map(number):
    """A map of 240 points and 1800 bins with 0.6 million photons in lines."""
    rng = np.random.default_rng(number)
    lines = np.exp(-(((np.arange(1800) - 650.0) / 8) ** 2) / 2) + 0.02
    mean = 600_000 / 240 * lines / lines.sum()
    edges = 200.0 + 0.5 * np.arange(1801)
    point = "incident_energy"
    return xr.Dataset(
        {
            "counts": ((point, "emission_energy"), rng.poisson(mean, (240, 1800))),
            "exposure": (point, np.full(240, 100.0)),
            "exposure_errors": (point, np.zeros(240)),
            "emission_energy_edges": ("emission_energy_edge", edges),
        },
        coords={
            point: np.linspace(520.0, 560.0, 240),
            "emission_energy": (edges[1:] + edges[:-1]) / 2,
        },
        attrs={"sample": f"S{number}", "edge": "O_K"},
    )


def test_twenty_maps_are_small_and_open_fast(browser, tmp_path, out):
    text = paths.report(out).read_text()
    content = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    content["maps"] = [packed_map(large_map(number), Config()) for number in range(20)]
    content["rows"] = [
        content["rows"][0] | {"sample": shown["sample"], "edge": "O_K"}
        for shown in content["maps"]
    ]
    path = tmp_path / "report.html"
    path.write_text(page("twenty maps", content))
    assert path.stat().st_size < 6e6
    seconds = []
    for _ in range(3):  # other work may delay one of them
        opened = Opened(browser, path)
        seconds.append(opened.page.evaluate("view.drawnAfter / 1000"))
        opened.page.close()
    assert min(seconds) < 2, seconds


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


def test_printed_pages_have_no_controls(browser, out):
    report = Opened(browser, paths.report(out))
    report.page.emulate_media(media="print")
    for selector in ("nav", ".controls"):
        assert not report.page.locator(selector).first.is_visible()
    assert report.page.locator("table").first.is_visible()
    assert report.page.locator("canvas").is_visible()


def test_tables_are_sorted_by_keyboard(report):
    heading = report.page.get_by_role("button", name="photons")
    heading.focus()
    for direction in ("ascending", "descending"):
        report.page.keyboard.press("Enter")
        column = report.page.locator('#overview th[scope="col"][aria-sort]')
        assert column.get_attribute("aria-sort") == direction
        photons = report.page.locator("#overview td:nth-child(5)").all_text_contents()
        numbers = [int(text.replace(",", "")) for text in photons]
        assert numbers == sorted(numbers, reverse=direction == "descending")
