import pytest

from rixs_pipeline import paths
from rixs_pipeline.stages import report as module
from rixs_pipeline.stages.report import MapFigures, ReferenceRunFigures, SpectraFigures
from rixs_pipeline.stages.stage import FigureFiles
from tests.stages.contexts import (
    add_scan_maps,
    make_context,
    numbered_scan,
    reference_run,
)

RUNS = (reference_run(0, 100.0), numbered_scan(1), reference_run(5, 5000.0))


def context_with_results(out, config=None, **options):
    context = make_context(out, RUNS, config, **options)
    add_scan_maps(context, context.scans)
    (group,) = context.sample_edges()
    context.products.add(group.map_path(out), group.spectra_path(out))
    return context


def test_reference_runs_and_pairs_of_neighbours_have_figures(tmp_path):
    context = make_context(tmp_path, RUNS)
    for number, names in (
        (0, ["cal0000 figures"]),
        (5, ["cal0000 figures", "cal0005 figures", "cal0000-cal0005 figures"]),
    ):
        context.products.add(paths.calibration_product(tmp_path, f"cal{number:04d}"))
        products = ReferenceRunFigures(context).products()
        assert [product.name for product in products] == names


def test_samples_with_spectra_have_figures(tmp_path):
    assert SpectraFigures(make_context(tmp_path, RUNS)).products() == []
    (product,) = SpectraFigures(context_with_results(tmp_path)).products()
    assert product.name == "LMR-Co_L figures"
    assert product.path == paths.figures_folder(tmp_path) / "LMR-Co_L"


def test_maps_have_figures_before_there_are_spectra(tmp_path):
    context = make_context(tmp_path, RUNS)
    add_scan_maps(context, context.scans)
    assert MapFigures(context).products() == []
    (group,) = context.sample_edges()
    context.products.add(group.map_path(tmp_path))
    (product,) = MapFigures(context).products()
    assert product.name == "LMR-Co_L map figures"
    assert SpectraFigures(context).products() == []


def test_regions_change_the_options_of_figures_and_nothing_else_does(tmp_path):
    stage = MapFigures(context_with_results(tmp_path))
    (product,) = stage.products()
    config = {"regions": {"P": {"kind": "pfy", "emission": [770, 790]}}}
    other = MapFigures(context_with_results(tmp_path, config))
    assert stage.options(product) != other.options(other.products()[0])
    other = MapFigures(context_with_results(tmp_path, {"execution": {"workers": 7}}))
    assert stage.options(product) == other.options(other.products()[0])


def test_the_products_that_figures_show_are_their_inputs(tmp_path):
    context = context_with_results(tmp_path)
    stage = SpectraFigures(context)
    (product,) = stage.products()
    before = stage.inputs(product)
    assert before.keys() == {"spectra/LMR-Co_L.nxs"}
    context.products.add(tmp_path / "spectra/LMR-Co_L.nxs", key="changed")
    assert stage.inputs(product) != before
    del context.products.keys[tmp_path / "spectra/LMR-Co_L.nxs"]
    assert stage.inputs(product) == {}


@pytest.mark.parametrize("name", ["LMR-Co_L figures", "other figures"])
def test_figures_that_are_there_are_given_to_the_drawing(tmp_path, monkeypatch, name):
    on_disk = {"figures/LMR-Co_L-map.png": "digest"}
    tasks = []

    def draw(task):
        tasks.append(task)
        return FigureFiles(task.digests, ("new.png",))

    monkeypatch.setattr(module, "draw_figures", draw)
    context = context_with_results(tmp_path)
    context.products.figures[name] = on_disk
    stage = SpectraFigures(context)
    (result,) = stage.compute(stage.products())
    assert tasks[0].digests == (on_disk if name == "LMR-Co_L figures" else {})
    assert result.content.unwrap().new_files == ("new.png",)


def test_a_set_of_figures_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    def draw(task):
        raise OSError("disk full")

    monkeypatch.setattr(module, "draw_figures", draw)
    stage = SpectraFigures(context_with_results(tmp_path))
    (result,) = stage.compute(stage.products())
    assert str(result.content.error) == "disk full"
