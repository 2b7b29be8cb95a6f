import numpy as np
import pytest

from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.features import fit_fwhm, measure_feature
from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.core.spectra.yields import (
    EnergyUncertainty,
    ExtractionInputs,
    extract_spectrum,
)
from tests.core.spectra.builders import make_region

EDGES = np.arange(500.0, 540.1, 0.5)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
SHAPE = np.exp(-0.5 * ((CENTRES - 520.3) / 1.7) ** 2)
WINDOW = Limits(510.0, 530.0)


def measured(rng: np.random.Generator, i0: float = 0.0) -> MapData:
    """A Gaussian of 60 counts at its maximum in two points; both share an I0 error."""
    factor = 1 + i0 * rng.standard_normal()
    errors = np.full(2, 50.0 * i0 * np.sqrt(2)) if i0 else None
    return MapData(
        rng.poisson(60 * SHAPE * factor, (2, 80)),
        np.full(2, 50.0),
        EDGES,
        np.array([600.0, 601.0]),
        errors,
    )


def test_fwhm_of_clean_shapes() -> None:
    one = np.ones(80)
    assert fit_fwhm(CENTRES, SHAPE, one).fwhm == pytest.approx(1.7 * 2.3548, rel=1e-4)
    split = np.exp(
        -0.5 * ((CENTRES - 520.3) / np.where(CENTRES < 520.3, 3.0, 1.0)) ** 2
    )
    assert fit_fwhm(CENTRES, split, one).fwhm == pytest.approx(4 * 1.17741)
    assert np.isnan(fit_fwhm(CENTRES, np.linspace(0.6, 1, 80), one).fwhm)


@pytest.mark.parametrize("i0", [0.0, 0.05])
def test_area_centre_and_width_have_pulls_of_one(i0: float) -> None:
    rng, found = np.random.default_rng(5), []
    for _ in range(150):
        found.append(
            measure_feature(
                extract_spectrum(measured(rng, i0), make_region(kind="xes")), WINDOW
            )
        )
    area = 60 * SHAPE[(CENTRES > 510) & (CENTRES < 530)].sum() / 50
    for name, truth in (("area", area), ("centre", 520.3), ("fwhm", 1.7 * 2.3548)):
        values, errors = (
            np.array([getattr(f, n) for f in found]) for n in (name, f"{name}_errors")
        )
        pull = (values - truth) / errors
        assert 0.8 < pull.std() < 1.2, (
            name
        )  # 150 toys: 6 % is one standard deviation; bars hold one count more
        assert abs(pull.mean()) < 0.45, name


def test_energy_scale_moves_the_centre_by_its_own_error() -> None:
    setting = ExtractionInputs(
        energy_uncertainty=EnergyUncertainty(
            np.array([500.0, 540.0]), np.array([0.3, 0.3])
        )
    )
    data = MapData(
        np.round(1e6 * SHAPE)[None, :].astype(int), np.ones(1), EDGES, np.array([600.0])
    )
    found = measure_feature(
        extract_spectrum(data, make_region(kind="xes"), setting), WINDOW
    )
    assert found.centre_energy_errors == pytest.approx(0.3, rel=0.01)


def test_nothing_there_is_nan() -> None:
    data = MapData(np.zeros((1, 80), int), np.ones(1), EDGES, np.array([600.0]))
    found = measure_feature(extract_spectrum(data, make_region(kind="xes")), WINDOW)
    assert found.area == 0 and np.isnan(found.centre) and np.isnan(found.fwhm)
    assert np.isnan(
        measure_feature(
            extract_spectrum(data, make_region(kind="xes")), Limits(700.0, 710.0)
        ).area
    )
