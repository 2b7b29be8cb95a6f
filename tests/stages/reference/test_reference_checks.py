"""Reference runs that cannot be as their logs say."""

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.stages.reference.reference_checks import reference_checks

ENERGIES = {
    "C_Ka": 277.0,
    "O_Ka": 524.9,
    "Fe_La": 705.0,
    "Ni_La": 851.5,
    "Co_La": 776.0,
}


def calibration(run, lines, parked=1000.0, counts=400.0, sample="mix"):
    size = (3, len(lines))
    variables = {
        "status": ("pixel", ["ok", "ok", "dead: no pulses"]),
        "line_counts": (("pixel", "line"), np.full(size, counts)),
        "line_name": ("line", list(lines)),
        "line_energy": ("line", [ENERGIES[line] for line in lines]),
    }
    attributes = {"run": run, "time": float(run[3:]), "sample": sample}
    return xr.Dataset(variables, attrs=attributes | {"parked_energy": parked})


SOUND = calibration("cal1", ["C_Ka", "O_Ka", "Fe_La", "Ni_La"])


@pytest.mark.parametrize(
    "other",
    [
        calibration("cal2", ["C_Ka", "O_Ka", "Fe_La", "Ni_La"]),
        calibration("cal2", ["C_Ka", "O_Ka", "Fe_La"]),  # a single line
        calibration("cal2", ["C_Ka", "O_Ka"], counts=50.0),  # too few counts
        calibration("cal2", ["C_Ka", "O_Ka", "Co_La"], sample="another mix"),
        calibration("cal2", ["C_Ka", "O_Ka", "Fe_La", "Ni_La"], parked=np.nan),
    ],
)
def test_sound_runs(other):
    assert reference_checks([other, SOUND]) == []


def test_another_sample():
    (line,) = reference_checks([calibration("cal2", ["C_Ka", "O_Ka", "Co_La"]), SOUND])
    assert line.startswith("cal2: lacks Fe_La, Ni_La and has Co_La, unlike cal1")


@pytest.mark.parametrize(("parked", "named"), [(600, "Fe_La, Ni_La"), (800, "Ni_La")])
def test_lines_above_the_incident_energy(parked, named):
    lines = ["C_Ka", "O_Ka", "Fe_La", "Ni_La"]
    (line,) = reference_checks([calibration("cal1", lines, parked)])
    assert line.startswith(f"cal1: {named} cannot be excited by the {parked} eV")
