import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection

from rixs_pipeline.plots import corrections, style

NAMES = ["C Kα", "N Kα", "O Kα", "Fe Lα", "Ni Lα", "Cu Lα", "elastic"]


@pytest.fixture(scope="module")
def dataset(make_calibration):
    return make_calibration(12)


@pytest.fixture(scope="module")
def figure(dataset):
    return corrections.corrections_figure(dataset)


def series(axes):
    return [
        line.get_ydata()
        for line in axes.lines
        if line.get_marker() in corrections.MARKER_LETTERS
    ]


def bars(axes):
    """Lower and upper ends of the error bars (series, point, 2)."""
    (bar_ends,) = [
        np.array(c.get_segments())[:, :, 1]
        for c in axes.collections
        if isinstance(c, LineCollection)
    ]
    return bar_ends.reshape(len(series(axes)), -1, 2)


@pytest.mark.parametrize(("panel", "ending"), [(0, "_uncorrected"), (1, "")])
def test_every_line_is_shown_against_the_arrival_phase(dataset, figure, panel, ending):
    axes, table = figure.axes[panel], dataset[f"phase_offset{ending}"].values
    assert np.array(series(axes)) == pytest.approx(table)
    assert bars(axes).mean(axis=2) == pytest.approx(table)
    assert np.ptp(bars(axes), axis=2) == pytest.approx(
        2 * dataset[f"phase_offset{ending}_errors"].values
    )
    rms = np.sqrt(np.mean(table**2))
    assert axes.get_title(loc="left").endswith(
        f": {rms:.2f} eV rms (statistics: 0.10 eV)"
    )
    assert axes.get_xlabel() == "arrival phase (digitiser samples)"


def test_before_and_after_share_their_scale_and_one_legend(figure):
    before, after, *_ = figure.axes
    assert before.get_ylim() == after.get_ylim()
    assert [text.get_text() for text in after.texts] == [f"● {name}" for name in NAMES]
    assert [text.get_color() for text in after.texts] == [
        line.get_color() for line in after.lines[: len(NAMES)]
    ]
    assert not before.texts


def test_the_drift_is_shown_with_the_baseline(dataset, figure):
    drift, baseline = figure.axes[2:]
    assert np.array(series(drift)) == pytest.approx(
        np.stack(
            [dataset["time_offset_uncorrected"].values, dataset["time_offset"].values]
        )
    )
    assert [text.get_text().split(":")[0] for text in drift.texts] == [
        "● without drift correction",
        "● with drift correction",
    ]
    assert np.array(series(baseline)) == pytest.approx(
        dataset["pretrigger_offset"].values[None]
    )
    for axes in (drift, baseline):
        assert axes.lines[0].get_xdata() == pytest.approx(
            dataset["time_bin"].values / 60
        )
        assert axes.get_xlabel() == "time (min)"


def test_a_run_with_too_few_pulses_has_its_figure_too(dataset, inside):
    names = [name for name in dataset if "offset" in name]
    empty = dataset.assign({name: dataset[name] * np.nan for name in names})
    figure = corrections.corrections_figure(empty)
    assert (
        figure.axes[1].get_title(loc="left") == "with phase correction: too few pulses"
    )
    inside(figure)
    partial = dataset.copy(deep=True)
    partial["phase_offset"][0, 3] = np.nan
    inside(corrections.corrections_figure(partial))
    inside(corrections.corrections_figure(empty.isel(fitted_line=slice(0))))


def test_many_lines_differ_in_colour_or_marker(dataset, inside):
    twice = xr.concat(
        [dataset, dataset.assign_coords(fitted_line=[f"{n}2" for n in NAMES])],
        "fitted_line",
        data_vars="minimal",
    )
    figure = corrections.corrections_figure(twice)
    after = figure.axes[1]
    looks = {(line.get_color(), line.get_marker()) for line in after.lines[:14]}
    assert len(looks) == len(after.texts) == 14
    inside(figure)


@pytest.fixture
def make_shifts():
    def make(pixels=240, jumping=(6, 7)):
        generator = np.random.default_rng(5)
        shift = generator.normal(np.linspace(0.5, -1.5, 6), 0.4, (pixels, 6))
        has_jumped = np.isin(np.arange(pixels), jumping)
        shift[has_jumped] += np.linspace(15, 22, 6)
        values = {
            "pixel": np.arange(1, 2 * pixels, 2),
            "line_name": (
                "line",
                np.array(
                    ["C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La"], dtype=object
                ),
            ),
            "shift": (("pixel", "line"), shift),
            "has_jumped": ("pixel", has_jumped),
        }
        return xr.Dataset(values, attrs={"before": "cal0000", "after": "cal0009"})

    return make


def test_line_shifts_and_pixels_with_gain_jumps(make_shifts):
    dataset = make_shifts()
    figure = corrections.line_shifts_figure(dataset)
    title = "reference runs cal0000 to cal0009: gain jumps in 2 of 240 pixels"
    assert figure.get_suptitle() == title
    axes, table = figure.axes
    dots, arrows = (
        next(line for line in axes.lines if line.get_marker() == marker)
        for marker in "o^"
    )
    steady = dataset["shift"].values[~dataset["has_jumped"].values]
    assert np.sort(dots.get_ydata()) == pytest.approx(np.sort(steady.ravel()))
    assert len(arrows.get_ydata()) == 12
    jumps = dataset["shift"].values[[6, 7], 0]
    beside = [text.get_text() for text in axes.texts]
    assert f"{jumps.min():.1f} to\n{jumps.max():.1f}" in beside
    assert axes.get_ylim()[1] < 5  # the jumps do not set the scale
    head, *rows = table.texts[0].get_text().split("\n")
    assert head.split("  ")[0] == "shift (eV)"
    assert [row[:11].strip() for row in rows] == ["channel 13", "channel 15"]
    numbers = [float(word) for word in rows[0].replace("−", "-").split()[2:]]
    assert numbers == pytest.approx(dataset["shift"].values[6], abs=0.051)
    assert axes.get_ylabel() == "line shift (eV)"


@pytest.mark.parametrize(
    ("pixels", "jumping"), [(240, range(100)), (4, ()), (3, range(3)), (0, ())]
)
def test_nothing_leaves_the_figure(make_shifts, inside, pixels, jumping):
    figure = corrections.line_shifts_figure(make_shifts(pixels, jumping))
    inside(figure)
    (text,) = figure.axes[1].texts
    rows = text.get_text().split("\n")
    assert len(rows) <= corrections.MAX_JUMP_ROWS + 2
    if not jumping:
        assert rows == ["no gain jumps"]
    elif len(jumping) == 100:
        assert rows[-1].startswith("and channel 17, 19, ") and rows[-1].endswith(
            "and 76 more"
        )


def test_the_figures_are_drawn(figure):
    assert len(style.encode_figure(figure, "png")) > 10_000


def test_the_lines_of_a_sample_have_a_panel_each_with_a_point_for_each_pass():
    passes = {}
    for number, position in enumerate((525.0, 525.1)):
        values = {
            "sample_line": ["O_Ka", "Co_La"],
            "sample_line_position": [position, 776.0],
            "sample_line_position_errors": [0.02, 0.1],
            "scale_error": [0.05, 0.08],
        }
        columns = {name: ("sample_line", column) for name, column in values.items()}
        passes[f"scan000{number}"] = xr.Dataset(columns)
    figure = corrections.line_positions_figure(passes, "lines")
    first, second = figure.axes
    assert "O K" in first.get_ylabel() and "Co L" in second.get_ylabel()
    (points,) = first.containers
    np.testing.assert_allclose(points[0].get_ydata(), [525.0, 525.1])
    labels = [label.get_text() for label in second.get_xticklabels()]
    assert labels == ["scan0000", "scan0001"]
    figure.canvas.draw()
    assert not any(axes.yaxis.get_offset_text().get_text() for axes in figure.axes)
