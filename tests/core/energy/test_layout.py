import numpy as np

from rixs_pipeline import schema
from rixs_pipeline.core.energy import layout

PARTS = {
    "curve grid": layout.CURVE_GRID,
    "curve": layout.CURVE,
    "height reference": slice(layout.HEIGHT_REF, layout.HEIGHT_REF + 1),
    "pretrigger reference": slice(layout.PRETRIGGER_REF, layout.PRETRIGGER_REF + 1),
    "drift": layout.DRIFT,
    "phase centre": layout.PHASE_CENTRE,
    "phase width": slice(layout.PHASE_HALF_WIDTH, layout.PHASE_HALF_WIDTH + 1),
    "phase": layout.PHASE,
    "validity": layout.VALIDITY,
}


def test_every_place_of_the_vector_is_one_parameter():
    uses = np.zeros(layout.N_PARAMS, int)
    for part in PARTS.values():
        uses[part] += 1
    np.testing.assert_array_equal(uses, 1)


def test_the_parts_hold_as_many_parameters_as_the_formulae():
    sizes = {name: part.stop - part.start for name, part in PARTS.items()}
    assert sizes["curve"] == layout.N_COEFFICIENTS
    assert sizes["drift"] == sizes["validity"] == 2
    assert sizes["phase"] == layout.PHASE_ORDERS * layout.PHASE_POWERS == 9
    assert sizes["phase centre"] == layout.PHASE_POWERS


def test_products_of_earlier_versions_stay_readable():
    """The places are stored in products: another order needs another schema version."""
    assert (layout.CURVE.start, layout.HEIGHT_REF, layout.DRIFT.start) == (2, 42, 44)
    assert (layout.PHASE.start, layout.VALIDITY.start) == (50, 59)
    assert layout.N_PARAMS == 61
    assert schema.SCHEMA_VERSION
