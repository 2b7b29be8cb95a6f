"""A reference run of the simulated beamtime, and its product."""

import pytest

from rixs_pipeline.config import CalibrationConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.stages.reference.calibrate_run import calibrate_run


@pytest.fixture(scope="package")
def run(small_beamtime):
    return discover(small_beamtime).calibrations[0]


@pytest.fixture(scope="package")
def product(run):
    reference = load_reference_set("srd128")
    return calibrate_run(run, reference, CalibrationConfig(), (200.0, 1100.0))
