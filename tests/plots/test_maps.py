import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_rgba

from rixs_pipeline.config import Region
from rixs_pipeline.plots import maps, style
from rixs_pipeline.schema import POINT_EXCLUDED
from rixs_pipeline.stages.sample.configured_regions import outlines_on_map

PFY = {"kind": "pfy", "emission": (762, 800)}
TFY = {"kind": "tfy"}


def outlined_map(dataset, regions, scale=maps.ColourScale.SQRT):
    """Return the figure of a map with regions as a config writes them."""
    configured = {name: Region(**region) for name, region in regions.items()}
    outlines = outlines_on_map(dataset, configured)
    return maps.map_figure(dataset, "map", outlines, scale)


@pytest.fixture(scope="module")
def dataset(make_map):
    return make_map()


@pytest.fixture(scope="module")
def figure(dataset):
    return maps.map_figure(dataset, "map", {})


def panels(figure):
    """Whole map and zoom, without the colour bars."""
    return [axes for axes in figure.axes if axes.get_xlabel()]


def mesh(axes):
    return axes.collections[0]


def column_edges(axes):
    return np.asarray(mesh(axes).get_coordinates())[0, :, 0]


def test_the_elastic_line_is_a_white_dashed_diagonal(figure):
    for axes in panels(figure):
        (line,) = [line for line in axes.lines if line.get_label() == "elastic line"]
        assert np.array_equal(line.get_xdata(), line.get_ydata())
        assert tuple(line.get_xdata()) == axes.get_xlim()
        assert line.get_linestyle() == "--"
        assert to_rgba(line.get_color()) == to_rgba("white")


def test_left_all_emission_that_has_counts_right_the_edge(dataset, figure):
    whole, zoom = panels(figure)
    incident = dataset["incident_energy"].values
    assert zoom.get_ylim() == pytest.approx((incident.min() - 60, incident.max() + 10))
    low, high = whole.get_ylim()
    assert 200 <= low < 277 - 8  # from below C Ka
    assert (
        incident.max() < high < 900
    )  # to above the elastic line, not to the end of the axis


def test_columns_of_an_irregular_grid_meet_halfway_between_the_points(dataset, figure):
    incident = dataset["incident_energy"].values
    for axes in panels(figure):
        edges = column_edges(axes)
        assert edges[1:-1] == pytest.approx((incident[1:] + incident[:-1]) / 2)
        assert edges[0] == pytest.approx(incident[0] - (incident[1] - incident[0]) / 2)


def test_a_scan_downwards_looks_like_one_upwards(dataset, figure):
    reverse = maps.map_figure(
        dataset.isel(incident_energy=slice(None, None, -1)), "map", {}
    )
    for up, down in zip(panels(figure), panels(reverse), strict=True):
        assert np.array_equal(
            mesh(up).get_array().filled(-1), mesh(down).get_array().filled(-1)
        )
        assert np.array_equal(mesh(up).get_coordinates(), mesh(down).get_coordinates())


def test_binned_incident_energies_are_drawn_with_their_own_edges(make_map):
    dataset = make_map()
    edges = np.linspace(760, 810, dataset.sizes["incident_energy"] + 1)
    binned = dataset.assign(incident_energy_edges=("incident_energy_edge", edges))
    assert column_edges(panels(maps.map_figure(binned, "map", {}))[1]) == pytest.approx(
        edges
    )


def test_points_without_exposure_and_excluded_points_are_grey(make_map):
    dataset = make_map(masked=(20, 21, 22))
    status = np.zeros(dataset.sizes["incident_energy"], np.int64)
    status[40] = POINT_EXCLUDED
    figure = maps.map_figure(
        dataset.assign(point_status=("incident_energy", status)), "map", {}
    )
    for axes in panels(figure):
        hidden = np.ma.getmaskarray(mesh(axes).get_array())
        assert set(np.flatnonzero(hidden.all(axis=0))) == {20, 21, 22, 40}
        assert not np.delete(hidden, [20, 21, 22, 40], axis=1).any()
        assert to_rgba(mesh(axes).cmap.get_bad()) == to_rgba(style.LIGHT_GREY)
    assert "(4 masked)" in panels(figure)[0].get_title(loc="left")


def test_thin_rows_are_averaged_not_dropped(make_map):
    dataset = make_map(masked=())
    whole = panels(maps.map_figure(dataset, "map", {}))[0]
    shown, edges = (
        mesh(whole).get_array().filled(0),
        np.asarray(mesh(whole).get_coordinates())[:, 0, 1],
    )
    assert shown.shape[0] <= maps.MAX_ROWS
    inside = (dataset["emission_energy"] > edges[0]) & (
        dataset["emission_energy"] < edges[-1]
    )
    expected = dataset["intensity"].where(inside, 0).sum("emission_energy") * 0.5
    assert np.diff(edges) @ shown == pytest.approx(expected.values)


def test_neither_a_hot_bin_nor_a_hot_column_sets_the_colours(dataset, figure):
    calm = [mesh(axes).norm.vmax for axes in panels(figure)]
    hot = dataset["intensity"].values.copy()
    hot[5, 1000] = 1e4
    hot[30] *= 1000
    hotter = maps.map_figure(
        dataset.assign(intensity=(dataset["intensity"].dims, hot)), "map", {}
    )
    for axes, before in zip(panels(hotter), calm, strict=True):
        assert mesh(axes).norm.vmax < 1.5 * before


def test_scales_and_the_unit_of_the_colour_bar(make_map):
    for scale in ("sqrt", "log"):
        figure = maps.map_figure(make_map(), "map", {}, maps.ColourScale(scale))
        bars = [axes for axes in figure.axes if not axes.get_xlabel()]
        assert [bar.get_ylabel() for bar in bars] == ["intensity (counts/(s eV))"] * 2
        norms = [mesh(axes).norm for axes in panels(figure)]
        assert all(isinstance(norm, LogNorm) == (scale == "log") for norm in norms)
        assert all(norm(norm.vmax) == pytest.approx(1.0) for norm in norms)
        half = 0.25 * norms[0].vmax
        assert scale == "log" or norms[0](half) == pytest.approx(
            0.5
        )  # the square root of a quarter
        assert not any(
            "$" in label.get_text() for bar in bars for label in bar.get_yticklabels()
        )


@pytest.mark.parametrize(("points", "scale"), [(1, "sqrt"), (2, "log"), (70, "log")])
def test_maps_without_counts_or_exposure_or_with_one_point_are_drawn(
    make_map, points, scale
):
    for dataset in (
        make_map(masked=(), rate=0.0, points=points),
        make_map(range(70), points=points),
    ):
        figure = outlined_map(dataset, {"PFY": PFY}, maps.ColourScale(scale))
        figure.set(layout_engine="none", dpi=40)
        figure.canvas.draw()
        assert len(panels(figure)) == 2


def test_repeated_points_share_their_width():
    assert maps.point_edges(np.array([531.0, 531.0])).tolist() == [530.5, 531.0, 531.5]
    assert maps.point_edges(np.array([530.0, 531.0, 531.0, 532.0])).tolist() == [
        529.5,
        530.5,
        531.0,
        531.5,
        532.5,
    ]
