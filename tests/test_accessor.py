"""`ds.rixs`: spectra and plots of an opened map."""

import inspect
import json
import re
import shutil

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from rixs_pipeline import open_product
from rixs_pipeline.accessor_arguments import RegionOptions
from rixs_pipeline.config import Region
from rixs_pipeline.errors import InputError, RixsWarning

# a window that goes across the edge holds elastic light, and says so
pytestmark = pytest.mark.filterwarnings("ignore::rixs_pipeline.errors.RixsWarning")


@pytest.fixture(scope="module")
def rixs_map(reduced_small) -> xr.Dataset:
    return open_product(reduced_small / "maps" / "LMR_RT-Co_L.nxs")


def test_region_matches_the_extracted_spectrum(rixs_map, reduced_small):
    written = open_product(reduced_small / "spectra" / "LMR_RT-Co_L.nxs")["Co_PFY"]
    result = rixs_map.rixs.pfy([762, 800], edge="Co_L")
    assert result.values == pytest.approx(written["intensity"].values, nan_ok=True)
    assert result.intensity_errors.values == pytest.approx(
        written["intensity_errors"].values, nan_ok=True
    )
    assert result.units == "counts/s"


@pytest.mark.parametrize(
    ("call", "dim", "units"),
    [
        (lambda r: r.tfy(), "incident_energy", "counts/s"),
        (lambda r: r.ipfy([510, 540]), "incident_energy", "s/counts"),
        (lambda r: r.spfy([776, 777]), "incident_energy", "counts/s"),
        (lambda r: r.xes([778, 784]), "emission_energy", "counts/(s eV)"),
        (lambda r: r.cut(780.0, width=6), "emission_energy", "counts/(s eV)"),
        (lambda r: r.region("pfy", loss=[1, 6]), "incident_energy", "counts/s"),
    ],
)
def test_spectra_of_every_kind_have_units_and_errors(rixs_map, call, dim, units):
    result = call(rixs_map.rixs)
    assert (result.dims, result.units) == ((dim,), units)
    assert {
        "intensity_errors",
        "intensity_lower",
        "intensity_upper",
        "counts",
        "exposure",
    } <= set(result.coords)
    assert np.isfinite(result).any()
    assert result[dim].attrs["units"] == "eV"


def test_wrong_names_are_reported_with_those_there_are(reduced_small):
    spectra = open_product(reduced_small / "spectra" / "LMR_RT-Co_L.nxs")
    with pytest.raises(KeyError, match=r"no region 'O_redox'.*Co_PFY"):
        spectra["O_redox"]
    with pytest.raises(InputError, match=r"run\.json: not a product"):
        open_product(reduced_small / "run.json")


def test_preset_has_to_belong_to_the_edge(rixs_map):
    result = rixs_map.rixs.region("pfy", preset="Co_L")
    assert result.values == pytest.approx(
        rixs_map.rixs.pfy([762, 800]).values, nan_ok=True
    )
    with pytest.raises(ValueError, match="`edge` must be Co_L"):
        rixs_map.rixs.region("pfy", preset="O_K")
    with pytest.raises(ValueError, match="one spectrum at a time"):
        rixs_map.rixs.region("xes", cuts=[779, 781])


def test_config_supplies_efficiency_energy_scale_and_blanks(
    rixs_map, reduced_small, tmp_path
):
    path = tmp_path / "c.yaml"
    path.write_text(
        "normalise: {efficiency: [[200, 0.5], [1100, 0.5]]}\n"
        "geometry: {incidence: 30, takeoff: 90}\n"
    )
    blank = open_product(reduced_small / "maps" / "LMR_100C-Co_L.nxs")
    known = rixs_map.rixs.using(path, {"LMR_100C": blank})
    plain, result = rixs_map.rixs.pfy([762, 800]), known.pfy([762, 800])
    assert result.values == pytest.approx(2 * plain.values, nan_ok=True)
    assert (
        "intensity_reference_errors" in result.coords
        and "intensity_reference_errors" not in plain.coords
    )
    assert known.ipfy([510, 540]).geometry_factor == pytest.approx(0.5)
    net = known.pfy([762, 800], background={"kind": "blank", "sample": "LMR_100C"})
    assert net.values == pytest.approx(
        result.values - 2 * blank.rixs.pfy([762, 800]).values, nan_ok=True
    )


def test_features_are_part_of_the_spectrum(rixs_map):
    result = rixs_map.rixs.spectrum(
        "xes", incident=[778, 784], features={"La": [765, 790]}
    )
    assert 770 < result["feature_centre"].item() < 782


def test_windows_are_two_numbers_or_a_list(rixs_map):
    rixs = rixs_map.rixs
    expected = rixs.pfy([762, 800])
    for result in (rixs.pfy(762, 800), rixs.pfy(emission=(762, 800))):
        xr.testing.assert_identical(result, expected)
    xr.testing.assert_identical(rixs.xes(778, 784), rixs.xes([778, 784]))
    xr.testing.assert_identical(rixs.cut(780.0, width=6), rixs.xes(777, 783))


def test_emission_spectra_in_wider_bins(rixs_map):
    limits = {"emission": [762, 800]}
    narrow = rixs_map.rixs.xes(778, 784, **limits)
    wide = rixs_map.rixs.xes(778, 784, step=2.0, **limits)
    assert wide["emission_energy"].values.tolist() == np.arange(763, 800, 2).tolist()
    assert wide["counts"].sum().item() == narrow["counts"].sum().item()
    with pytest.raises(ValueError, match=r"no multiple of the map's bins of 0\.5 eV; "):
        rixs_map.rixs.xes(778, 784, step=0.7)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"emision": [1, 2]}, r"^pfy: emision: unknown key \(did you mean 'emission'"),
        ({"emission": 5}, r"^pfy: emission: must be \[low, high\] in eV, not 5$"),
        ({"scale": "edgy"}, r"^pfy: scale: must be one of [^\n]*not 'edgy'$"),
    ],
)
def test_mistakes_are_one_line(rixs_map, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        rixs_map.rixs.region("pfy", **options)
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


def test_what_a_region_includes_by_mistake_is_a_warning(rixs_map):
    with pytest.warns(RixsWarning, match=r"no bin of the map: .* emission 200 to 1100"):
        rixs_map.rixs.pfy(5000, 6000)


@pytest.mark.parametrize(
    "call",
    [
        lambda rixs: rixs.spectrum("pfy"),
        lambda rixs: rixs.region("pfy"),
        lambda rixs: rixs.pfy(762, 800),
        lambda rixs: rixs.cut(5000.0),
        lambda rixs: rixs.plot_region("pfy"),
        lambda rixs: rixs.plot_map(regions={"C": {"kind": "pfy", "emission": [1, 2]}}),
    ],
)
def test_warnings_point_at_the_line_of_the_user(rixs_map, call):
    with pytest.warns(RixsWarning) as caught:
        call(rixs_map.rixs)
    assert {warning.filename for warning in caught} == {__file__}
    assert {warning.lineno for warning in caught} == {call.__code__.co_firstlineno}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"axis": "los"}, "`axis` must be 'emission' or 'loss', not 'los'"),
        ({"colours": "lin"}, "`colours` must be 'sqrt' or 'log', not 'lin'"),
        ({"cmap": matplotlib.colormaps["gray"]}, "`cmap` must be the name of a colour"),
        ({"cmap": "virids"}, "no colour map 'virids' (did you mean 'viridis'?)"),
        ({"ax": Figure()}, "`ax` must be one Axes of matplotlib, not Figure"),
        ({"ax": Figure().subplots(2)}, "must be one Axes of matplotlib, not ndarray"),
        ({"regions": ["Co"]}, "`regions` must be a mapping of names to keys"),
        ({"regions": {"Co": [762, 800]}}, "Co: must be a mapping of keys to"),
        ({"regions": {"Co": {"kind": "x"}}}, "must be one of 'pfy', 'spfy', 'ipfy',"),
        ({"axis": "loss", "regions": {"Co": {"kind": "tfy"}}}, "the emission axis"),
    ],
)
def test_wrong_arguments_of_plots_are_reported(rixs_map, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        rixs_map.rixs.plot_map(**arguments)
    assert "\n" not in str(caught.value)


def test_wrong_arguments_of_regions_are_reported(rixs_map):
    rixs = rixs_map.rixs
    with pytest.raises(ValueError, match=r"no bin of the map: .* emission 200 to 1100"):
        rixs.plot_region("pfy", emission=[5000, 6000])
    with pytest.raises(ValueError, match="`ax` must be one Axes of matplotlib"):
        rixs.plot_region("pfy", ax=Figure())
    with pytest.raises(ValueError, match=r"must be one of 'pfy', .*not \['pfy'\]"):
        rixs.plot_region(["pfy"])
    with pytest.raises(ValueError, match="`emission` is given twice"):
        rixs.pfy(762, 800, emission=[515, 530])


@pytest.fixture(scope="module")
def other_map(reduced_small) -> xr.Dataset:
    return open_product(reduced_small / "maps" / "LMR_100C-Co_L.nxs")


FEATURE = {"window": [779, 783], "baseline": [790, 800]}
REST = {"kind": "pfy", "emission": [780, 800], "exclude_elastic": None}
COMPARED = {  # region -> keys of the config's comparison, and the same in Python
    "Co_PFY": ({}, {}),
    "narrow": (
        {
            "scale": [790, 800],
            "window": [775, 790],
            "feature": {"region": "narrow", "rest": "rest", **FEATURE},
        },
        {
            "factor": [790, 800],
            "window": [775, 790],
            "feature": {"rest": REST, **FEATURE},
        },
    ),
    "XES": ({"scale": "known"}, {"factor": "known"}),
}
REGIONS = {
    "Co_PFY": {"kind": "pfy", "emission": [762, 800]},
    "narrow": {"kind": "spfy", "emission": [775, 778]},
    "XES": {"kind": "xes", "incident": [779, 783], "step": 1.0},
}


@pytest.mark.parametrize("name", COMPARED)
def test_maps_are_compared_as_by_the_command_line(
    rixs_map, other_map, small_beamtime, reduced_small, tmp_path, command_line, name
):
    configured, options = COMPARED[name]
    samples = ["LMR_RT", "LMR_100C"]
    comparison = {"samples": samples, "regions": [name], **configured}
    config = {"regions": {**REGIONS, "rest": REST}, "compare": {"heating": comparison}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    out = tmp_path / "out"
    shutil.copytree(reduced_small, out)
    arguments = ("-c", tmp_path / "config.yaml", "-o", out, "--until", "compare")
    done = command_line("run", small_beamtime, *arguments)
    assert done.returncode == 0, done.stderr
    expected = open_product(out / "comparisons" / "heating-Co_L.nxs")[name]
    result = rixs_map.rixs.compare(other_map, **REGIONS[name], **options)
    assert set(result.variables) == set(expected.variables)
    assert ("ratio_p" in result) == ("feature" in configured)
    for variable in expected.variables:
        np.testing.assert_array_equal(result[variable].values, expected[variable])
    assert result.p.item() == expected.p.item()


def test_passes_of_a_sample_are_compared(reduced_small):
    first, second = (
        open_product(reduced_small / "scans" / f"scan000{number}.nxs")
        for number in (1, 2)
    )
    result = first.rixs.compare(second, "pfy", emission=[762, 800])
    assert result["sample"].values.tolist() == ["LMR_RT scan0001", "LMR_RT scan0002"]
    assert 0.001 < result.p.item() <= 1
    assert result.factor.item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": "fre"}, "compare: factor: must be one of 'free' or 'known'"),
        ({"scale": "max"}, "set `factor` in a comparison"),
        ({"window": [600, 610]}, "no points of the spectrum in the window"),
        ({"emission": [1200, 1300]}, "region contains no bin of the map: 12 points"),
        ({"feature": {"windw": [1, 2]}}, "unknown key (did you mean 'window'?)"),
        ({"feature": [1, 2]}, '`feature` must be a mapping, such as {"window"'),
        (
            {"feature": {"window": [779, 783], "rest": REST}},
            "`rest` requires `baseline`",
        ),
        ({"edge": "O_K"}, "`edge` must be Co_L"),
        ({"emision": [1, 2]}, "did you mean 'emission'?"),
    ],
)
def test_wrong_comparisons_are_reported(rixs_map, other_map, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        rixs_map.rixs.compare(other_map, "pfy", **options)
    assert "\n" not in str(caught.value)


def test_maps_that_cannot_be_compared_are_reported(rixs_map, other_map):
    with pytest.raises(ValueError, match="both maps contain scan0001; compare"):
        rixs_map.rixs.compare(rixs_map, "pfy")
    with pytest.raises(ValueError, match="one edge, not Co_L and O_K"):
        rixs_map.rixs.compare(other_map.assign_attrs(edge="O_K"), "pfy")
    with pytest.raises(ValueError, match="`other` must be a map, not str"):
        rixs_map.rixs.compare("LMR_100C", "pfy")
    with pytest.raises(InputError, match="requires a map"):
        rixs_map.rixs.compare(other_map.drop_vars("exposure"), "pfy")
    elam = other_map.assign_attrs(reference_set="elam")
    with pytest.raises(ValueError, match="set differs: srd128 and elam"):
        rixs_map.rixs.compare(elam, "pfy")
    other_options = other_map.assign_attrs(option_hashes="{}")
    with pytest.raises(ValueError, match="of different reductions"):
        rixs_map.rixs.compare(other_options, "pfy")


@pytest.mark.parametrize(
    "change",
    [
        lambda rixs_map: rixs_map.sel(emission_energy=slice(510, 535)),
        lambda rixs_map: rixs_map.coarsen(emission_energy=2, boundary="trim").sum(),
        lambda rixs_map: rixs_map + rixs_map,
    ],
    ids=["selected", "merged", "summed"],
)
def test_other_bins_of_emission_are_refused(rixs_map, change):
    with xr.set_options(keep_attrs=True):
        changed = change(rixs_map)
    with pytest.raises(InputError, match="requires the emission axis of a map"):
        changed.rixs.pfy(516, 527)


def test_points_may_be_selected(rixs_map):
    some = rixs_map.isel(incident_energy=slice(3, 6))
    expected = rixs_map.rixs.pfy(762, 800)[3:6]
    np.testing.assert_array_equal(some.rixs.pfy(762, 800), expected)


def test_signatures_list_the_keys_of_regions(rixs_map):
    for name in ("pfy", "xes", "tfy", "region", "spectrum", "plot_region", "cut"):
        parameters = inspect.signature(getattr(rixs_map.rixs, name)).parameters
        assert {"background", "scale", "loss"} <= parameters.keys()
        assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    compared = inspect.signature(rixs_map.rixs.compare).parameters
    assert {"factor", "feature", "emission"} <= compared.keys()
    assert "scale" not in compared
    assert RegionOptions.__annotations__.keys() == (
        Region.model_fields.keys() - {"kind"}
    )


def test_the_map_says_what_it_is(rixs_map):
    text = repr(rixs_map.rixs)
    assert text.startswith("RIXS map of LMR_RT at Co_L: ")
    assert "Co_PFY" in text and "plot_map()" in text


def test_a_map_opened_without_its_attributes_says_how_to_open_it(reduced_small):
    path = reduced_small / "maps" / "LMR_RT-Co_L.nxs"
    with (
        xr.open_dataset(path, group="entry/data", engine="h5netcdf") as opened,
        pytest.raises((InputError, RuntimeError), match="open_product"),
    ):
        opened.rixs.tfy()


def test_a_folder_lists_its_products(reduced_small, tmp_path):
    with pytest.raises(
        InputError, match=r"a folder; open one of its products: .*maps/"
    ):
        open_product(reduced_small)
    with pytest.raises(InputError, match="a folder without products"):
        open_product(tmp_path)


@pytest.mark.parametrize("axis", ["emission", "loss"])
def test_maps_are_shown_in_notebooks_and_in_own_axes(rixs_map, axis):
    figure = rixs_map.rixs.plot_map(axis=axis, colours="log", cmap="cividis")
    assert figure._repr_png_().startswith(b"\x89PNG")
    own = Figure()
    ax = own.add_subplot()
    assert rixs_map.rixs.plot_map(ax=ax, axis=axis, title="mine") is own
    assert ax.get_ylabel().startswith("energy loss" if axis == "loss" else "emission")
    assert len(own.axes) == 2  # with its colour bar


def test_the_loss_axis_places_the_elastic_line_at_zero(rixs_map):
    figure = rixs_map.rixs.plot_map(axis="loss")
    (mesh,) = figure.axes[0].collections
    corners = mesh.get_coordinates()
    emission = corners[..., 0] - corners[..., 1]
    assert np.ptp(emission, axis=1).max() < 1e-9  # a row is one emission energy


def test_a_spectrum_is_drawn_in_own_axes(rixs_map):
    ax = Figure().add_subplot()
    rixs_map.rixs.plot_region("pfy", ax=ax, emission=[762, 800], title="mine")
    assert "mine" in (ax.get_title(loc="left"), ax.get_title())


def test_plots_return_figures(rixs_map):
    assert rixs_map.rixs.plot_map(
        regions={"Co": {"kind": "pfy", "emission": [762, 800]}}
    ).axes
    assert rixs_map.rixs.plot_region("pfy", emission=[762, 800]).axes


def test_invalid_arguments_are_reported(rixs_map):
    with pytest.raises(ValueError, match="emision"):
        rixs_map.rixs.region("pfy", emision=[762, 800])
    with pytest.raises((InputError, AttributeError, RuntimeError), match=r"map|rixs"):
        xr.Dataset({"a": 1}).rixs.tfy()
