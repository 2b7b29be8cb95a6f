"""What logs show before a reduction, in the words of the reduction."""

from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.log_checks import log_problems
from tests.stages.builders import points, scan

LIT = {"i0": np.linspace(1.0, 2.0, 10)}


def ten_points(**values):
    """A scan with ten points."""
    return scan(at=points(10), **values)


def problems(*scans, **config):
    beamtime = Beamtime(Path("b"), scans)
    return list(log_problems(beamtime, Config.model_validate(config)))


def test_sound_scans_have_none():
    assert problems(ten_points(readings=LIT)) == []


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ({}, "no reading 'i0' in the log; normalised by live time alone"),
        (
            {"i0": -LIT["i0"]},
            "negative incident flux ('i0') at 10 of 10 points; a drain",
        ),
        ({"i0": np.zeros(10)}, "no incident flux ('i0') above 0 at any point; check"),
        ({"i0": np.full(10, 2.0)}, "'i0' reads 2 at all points; stuck, or not a"),
    ],
)
def test_i0_that_is_missing_or_unusable(readings, expected):
    (line,) = problems(ten_points(readings=readings))
    assert line.startswith(f"scan0001: {expected}")
    assert problems(ten_points(readings=readings), normalise={"i0": None}) == []


def test_scans_that_are_in_no_map():
    line, *_ = problems(ten_points(readings=LIT, edge=None))
    assert line.startswith("scan0001: edge unknown")
    (line,) = problems(ten_points(readings=LIT), execution={"memory": "1MB"})
    assert line.startswith("scan0001: a map of 10 points and 1800 bins needs")
    scans = [
        ten_points(name=f"scan000{n}", sample=s, readings=LIT)
        for n, s in enumerate(("a b", "a_b"))
    ]
    assert problems(*scans) == [
        "samples 'a b' and 'a_b' have the same file names; rename one in "
        "`beamtime.samples`"
    ]


def test_keys_that_name_what_a_scan_lacks():
    (line,) = problems(ten_points(readings=LIT), normalise={"blank": 7})
    assert line == "normalise.blank: no scan 7 in this beamtime; correct `blank`"
    exclude = {"points": {1: [0, 10]}}
    (line,) = problems(ten_points(readings=LIT), beamtime={"exclude": exclude})
    assert line.endswith("lists points beyond the 10 of this scan")


def test_maps_outside_the_incident_bins():
    scans = [
        ten_points(name=f"scan000{n}", sample=sample, readings=LIT)
        for n, sample in enumerate("AB")
    ]
    energy = scans[0].points.incident_energy
    outside = {"incident": [500, 510], "incident_step": 1}
    lines = problems(*scans, map=outside)
    assert [line.partition(": ")[0] for line in lines] == ["A-Co_L", "B-Co_L"]
    assert lines[0].startswith("A-Co_L: no point within `map.incident` (500 to 510 eV)")
    partly = {"incident": [energy[0], energy[0] + 1], "incident_step": 1}
    assert "points outside `map.incident`" in problems(scans[0], map=partly)[0]
