import pytest

from rixs_pipeline import paths
from rixs_pipeline.stages.extract import Extract
from tests.stages.contexts import add_scan_maps, make_context, numbered_scan

SCANS = (numbered_scan(1, sample="A"), numbered_scan(2, sample="blank"))
PFY = {"kind": "pfy", "edge": "Co_L", "emission": [770, 790]}


def extract(out, config=None, maps=("A", "blank")):
    context = make_context(out, SCANS, config)
    add_scan_maps(context, SCANS)
    context.products.add(*(paths.map_product(out, sample, "Co_L") for sample in maps))
    return Extract(context)


def test_spectra_of_every_map_that_is_there(tmp_path):
    products = extract(tmp_path, maps=["A"]).products()
    assert [product.name for product in products] == ["A-Co_L spectra"]
    assert products[0].path == paths.spectra_product(tmp_path, "A", "Co_L")
    assert len(extract(tmp_path).products()) == 2


@pytest.mark.parametrize(
    ("change", "is_used"),
    [
        ({"regions": {"P": PFY | {"emission": [770, 791]}}}, True),
        ({"regions": {"Q": PFY}}, True),  # its name is that of the entry
        ({"regions": {"P": PFY, "O": PFY | {"edge": "O_K"}}}, False),
        ({"regions": {"P": PFY}, "map": {"step": 1.0}}, False),
        ({"regions": {"P": PFY}, "execution": {"workers": 7}}, False),
    ],
    ids=str,
)
def test_spectra_depend_on_the_regions_of_their_edge(tmp_path, change, is_used):
    before = extract(tmp_path, {"regions": {"P": PFY}})
    after = extract(tmp_path, change)
    product = before.products()[0]
    assert (before.options(product) != after.options(product)) == is_used


def test_the_map_is_the_input(tmp_path):
    stage = extract(tmp_path, {"regions": {"P": PFY}})
    product = stage.products()[0]
    before = stage.inputs(product)
    assert before.keys() == {"map"}
    stage.context.products.add(product.source.map_path(tmp_path), key="changed")
    assert stage.inputs(product) != before


def test_a_blank_map_is_an_input_too_where_it_is_there(tmp_path):
    background = {"kind": "blank", "sample": "blank"}
    config = {"regions": {"P": PFY | {"background": background}}}
    stage = extract(tmp_path, config)
    of_sample, of_blank = stage.products()
    assert stage.inputs(of_sample).keys() == {"map", "blank blank"}
    assert stage.inputs(of_blank).keys() == {"map"}
    stage = extract(tmp_path, config, maps=["A"])
    assert stage.inputs(stage.products()[0]).keys() == {"map"}
