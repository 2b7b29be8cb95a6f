import pytest

from rixs_pipeline import paths
from rixs_pipeline.stages.compare import Compare
from tests.stages.builders import points, scan
from tests.stages.contexts import add_scan_maps, make_context, numbered_scan

SCANS = (
    numbered_scan(1, sample="A"),
    numbered_scan(2, sample="B"),
    numbered_scan(3, sample="C"),
    scan(at=points(first=530.0), number=4, name="scan0004", sample="A", edge="O_K"),
)
HEATING = {"samples": ["A", "B"]}


def compare(out, comparisons, without=()):
    context = make_context(out, SCANS, {"compare": comparisons})
    add_scan_maps(context, SCANS)
    for run in SCANS:
        if run.sample not in without:
            spectra = paths.spectra_product(out, run.sample, run.edge)
            context.products.add(spectra)
    return Compare(context)


def test_comparisons_at_the_edges_that_two_samples_share(tmp_path):
    products = compare(tmp_path, {"heating": HEATING}).products()
    assert [product.name for product in products] == ["compare heating-Co_L"]
    assert products[0].path == paths.comparison_product(tmp_path, "heating", "Co_L")
    assert products[0].source.samples == ("A", "B")


def test_samples_that_were_not_measured_are_left_out(tmp_path):
    comparisons = {"heating": {"samples": ["C", "unknown", "A"]}}
    products = compare(tmp_path, comparisons).products()
    assert products[0].source.samples == ("C", "A")  # the first is the reference
    assert compare(tmp_path, comparisons, without=["A"]).products() == []


def test_a_comparison_of_regions_of_another_edge_is_left_out(tmp_path):
    comparisons = {"heating": HEATING | {"regions": ["O_sPFY"]}}
    assert compare(tmp_path, comparisons).products() == []
    comparisons = {"heating": HEATING | {"regions": ["Co_PFY"]}}
    assert len(compare(tmp_path, comparisons).products()) == 1


def test_a_comparison_depends_on_its_own_section(tmp_path):
    before = compare(tmp_path, {"heating": HEATING})
    product = before.products()[0]
    after = compare(tmp_path, {"heating": HEATING, "other": {"samples": ["A", "C"]}})
    assert before.options(product) == after.options(product)
    after = compare(tmp_path, {"heating": HEATING | {"window": [775, 785]}})
    assert before.options(product) != after.options(after.products()[0])


@pytest.mark.parametrize(("sample", "is_input"), [("A", True), ("C", False)])
def test_the_inputs_are_the_spectra_of_its_samples(tmp_path, sample, is_input):
    stage = compare(tmp_path, {"heating": HEATING})
    product = stage.products()[0]
    before = stage.inputs(product)
    assert before.keys() == {"A-Co_L", "B-Co_L"}
    spectra = paths.spectra_product(tmp_path, sample, "Co_L")
    stage.context.products.add(spectra, key="changed")
    assert (stage.inputs(product) != before) == is_input
