"""Readings over I0, compared between passes."""

from rixs_pipeline.config import XasConfig
from rixs_pipeline.stages.flux.compare_readings import compare_readings
from tests.stages.sample.cobalt_scans import scan, without_flux


def test_a_point_without_flux_says_nothing_about_the_readings():
    scans = [scan(n, name=f"scan000{n}", number=n) for n in (1, 2)]
    scans[0] = without_flux(scans[0], [5])
    compared = compare_readings(scans, XasConfig(), "LMR-Co_L")
    assert compared.warnings == []
    assert compared.left_out == {}
