import numpy as np
import pytest

from rixs_pipeline import paths
from rixs_pipeline.io import nexus
from rixs_pipeline.stages.sample.configured_regions import select_regions
from rixs_pipeline.stages.sample.region_spectra import extract_region
from rixs_pipeline.stages.xas import Xas
from tests.stages.builders import points, scan
from tests.stages.contexts import add_scan_maps, make_context, numbered_scan
from tests.stages.sample import cobalt_scans

READINGS = {"tey": np.ones(4)}
LONG_READINGS, SHORT_READINGS = {"tey": np.ones(60)}, {"tey": np.ones(50)}


def xas(out, scans, config=None, with_spectra=True):
    context = make_context(out, scans, config)
    add_scan_maps(context, scans)
    if with_spectra:
        for group in context.sample_edges():
            context.products.add(group.spectra_path(out))
    return Xas(context)


def test_absorption_where_there_are_spectra_and_readings(tmp_path):
    scans = [numbered_scan(1, readings=READINGS), numbered_scan(2, sample="B")]
    products = xas(tmp_path, scans).products()
    assert [product.name for product in products] == ["LMR-Co_L xas"]
    assert products[0].path == paths.xas_product(tmp_path, "LMR", "Co_L")
    assert xas(tmp_path, scans, with_spectra=False).products() == []


def test_a_reading_of_one_pass_is_enough(tmp_path):
    scans = [numbered_scan(1), numbered_scan(2, readings=READINGS)]
    assert len(xas(tmp_path, scans).products()) == 1


def test_only_the_channels_of_the_config_count(tmp_path):
    scans = [numbered_scan(1, readings=READINGS)]
    config = {"xas": {"channels": ["tfy"]}}
    assert xas(tmp_path, scans, config).products() == []


def test_only_the_section_xas_matters(tmp_path):
    scans = [numbered_scan(1, readings=READINGS)]
    before = xas(tmp_path, scans)
    product = before.products()[0]
    after = xas(tmp_path, scans, {"xas": {"pre_edge": [770, 775]}})
    assert before.options(product) != after.options(product)
    after = xas(tmp_path, scans, {"map": {"step": 1.0}})
    assert before.options(product) == after.options(product)


def test_the_model_before_the_edge_is_that_of_all_samples_at_the_edge(tmp_path):
    """A sample whose scans begin later changes it, and redoes the others."""
    long = scan(
        at=points(n=60, first=765.0), number=1, name="scan0001", readings=LONG_READINGS
    )
    short = scan(
        at=points(n=50, first=775.0),
        number=2,
        name="scan0002",
        sample="B",
        readings=SHORT_READINGS,
    )
    alone, together = xas(tmp_path, [long]), xas(tmp_path, [long, short])
    before, after = (stage.options(stage.products()[0]) for stage in (alone, together))
    assert before["is_pre_edge_linear"] is True
    assert after["is_pre_edge_linear"] is False


def test_the_inputs_are_scans_and_spectra(tmp_path):
    scans = [numbered_scan(1, readings=READINGS), numbered_scan(2)]
    stage = xas(tmp_path, scans)
    product = stage.products()[0]
    before = stage.inputs(product)
    assert before.keys() == {"scan0001", "scan0002", "LMR-Co_L"}
    spectra = paths.spectra_product(tmp_path, "LMR", "Co_L")
    stage.context.products.add(spectra, key="changed")
    after = stage.inputs(product)
    assert {name for name in before if after[name] != before[name]} == {"LMR-Co_L"}


@pytest.mark.parametrize(
    ("kinds", "has_pfy"),
    [
        ({"first": "tfy", "second": "pfy"}, True),
        ({"first": "tfy", "second": "spfy"}, False),
    ],
)
def test_the_pfy_is_the_region_of_that_kind_whatever_its_name(tmp_path, kinds, has_pfy):
    stage = xas(tmp_path, [numbered_scan(1, readings=READINGS)])
    product = stage.products()[0]
    measured = cobalt_scans.scan(1)
    path = paths.scan_product(tmp_path, "scan0001")
    nexus.write_product(path, {"entry": measured}, {}, "counts")
    region = select_regions("Co_L", None)["Co_PFY"]
    spectrum = extract_region(measured, region)
    entries = {name: spectrum.assign_attrs(kind=kind) for name, kind in kinds.items()}
    spectra = product.source.spectra_path(tmp_path)
    nexus.write_product(spectra, entries, {}, "intensity")
    content = stage.compute_product(product)
    assert ("pfy" in content.facts["channels"]) == has_pfy
    assert "tey" in content.facts["channels"]
