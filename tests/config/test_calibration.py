import json

import pytest

from rixs_pipeline.config import CalibrationConfig, ReferenceLine, ReferenceSet
from tests.config.helpers import assert_invalid


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lines": ["C_Ka", "O_Ka"]}, "at least 3"),
        ({"min_line_counts": 1}, "greater than or equal to 5"),
        ({"residual_cut": 0}, "greater than 0"),
        ({"hidden_drift": 0.3}, "auto"),
        ({"hidden_drift": {"size": 0.3}}, "required"),
        ({"hidden_drift": {"size": -1, "period": 7200}}, "greater than or equal to 0"),
        ({"hidden_drift": {"size": 0.3, "period": 2}}, "greater than or equal to 60"),
        ({"curve": "spline"}, "'physical', 'gain' or 'loglog'"),
    ],
)
def test_invalid_options_are_errors(values: dict[str, object], message: str) -> None:
    assert_invalid(CalibrationConfig, values, message)


def test_products_name_their_reference_set() -> None:
    lines = {
        name: ReferenceLine(
            energy=energy, uncertainty=1, source="table", shape=((0, 3, 1),)
        )
        for name, energy in {"C_Ka": 277, "O_Ka": 525, "Ni_La": 851}.items()
    }
    variants = {"Ni_La": "oxide"}
    reference = ReferenceSet(
        name="mine", source="a table", lines=lines, variants=variants
    )
    assert reference.attributes() == {
        "reference_set": "mine",
        "reference_source": "a table",
        "reference_variants": json.dumps(variants),
    }
