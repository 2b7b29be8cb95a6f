import numpy as np
import pytest

from rixs_pipeline import paths
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.combine import Combine
from tests.stages.contexts import add_scan_maps, make_context, numbered_scan


def combine(out, scans, config=None):
    context = make_context(out, scans, config)
    add_scan_maps(context, scans)
    return Combine(context)


def test_one_map_for_each_sample_and_edge(tmp_path):
    scans = [
        numbered_scan(1, sample="A"),
        numbered_scan(2, sample="A", edge="O_K"),
        numbered_scan(3, sample="A"),
    ]
    products = combine(tmp_path, scans).products()
    assert [product.name for product in products] == ["A-Co_L", "A-O_K"]
    assert products[0].path == paths.map_product(tmp_path, "A", "Co_L")
    assert [scan.number for scan in products[0].source.scans] == [1, 3]


def test_a_scan_without_an_edge_is_reported_and_left_out(tmp_path):
    stage = combine(tmp_path, [numbered_scan(7, edge=None)])
    assert stage.products() == []
    assert stage.context.warnings == [
        "scan0007: edge unknown; not included in any map; set `beamtime.scans.7.edge`"
    ]


def test_samples_with_the_same_file_name_are_not_added(tmp_path):
    scans = [numbered_scan(1, sample="A B"), numbered_scan(2, sample="A/B")]
    first, second = combine(tmp_path, scans).products()
    assert first.problem is None
    assert isinstance(second.problem, RunFailed)
    assert "samples 'A B' and 'A/B' have the same file names" in str(second.problem)
    assert (first.name, second.name) == ("A_B-Co_L", "A/B-Co_L")


@pytest.mark.parametrize(
    "change",
    [
        {"map": {"incident": [770, 800], "incident_step": 1}},
        {"map": {"elastic_offset": "apply"}},
        {"normalise": {"i0_noise": 0.05}},
    ],
    ids=str,
)
def test_options_of_combining_change_the_map(tmp_path, change):
    scans = [numbered_scan(1)]
    before, after = (combine(tmp_path, scans, config) for config in ({}, change))
    product = before.products()[0]
    assert before.options(product) != after.options(product)


@pytest.mark.parametrize(
    "change",
    [
        {"map": {"step": 1.0}},  # the maps of the scans depend on it, and are inputs
        {"regions": {"P": {"kind": "pfy"}}},
        {"execution": {"workers": 7}},
    ],
    ids=str,
)
def test_other_options_do_not(tmp_path, change):
    scans = [numbered_scan(1)]
    before, after = (combine(tmp_path, scans, config) for config in ({}, change))
    product = before.products()[0]
    assert before.options(product) == after.options(product)


def test_the_inputs_are_the_scans(tmp_path):
    stage = combine(tmp_path, [numbered_scan(1), numbered_scan(2)])
    product = stage.products()[0]
    before = stage.inputs(product)
    path = paths.scan_product(tmp_path, "scan0002")
    stage.context.products.add(path, key="changed")
    assert stage.inputs(product) != before
    alone = combine(tmp_path, [numbered_scan(1)])
    assert alone.inputs(alone.products()[0]) != before


def test_passes_add_up(tmp_path):
    from rixs_pipeline.io import nexus
    from tests.stages.builders import scan_map

    scans = [numbered_scan(1), numbered_scan(2)]
    stage = combine(tmp_path, scans)
    counts = np.full((4, 3), 10)
    for run in scans:
        product = scan_map(counts, 780.0 + np.arange(4), name=run.name)
        path = paths.scan_product(tmp_path, run.name)
        nexus.write_product(path, {"entry": product}, {}, "counts")
    content = stage.task(stage.products()[0])()
    assert content.facts["scans"] == ["scan0001", "scan0002"]
    content.write(tmp_path / "map.nxs", {})
    rixs_map = nexus.read_entry(tmp_path / "map.nxs")
    np.testing.assert_array_equal(rixs_map["counts"].values, 2 * counts)
    np.testing.assert_allclose(rixs_map["exposure"].values, 2.0)
