"""TEY, TFY and PFY of a sample, normalised in the same way."""

import numpy as np
import pytest

from rixs_pipeline.config import Region, XasConfig
from rixs_pipeline.stages.sample.absorption_spectra import (
    absorption_spectra,
    is_pre_edge_linear,
    select_pfy,
)
from rixs_pipeline.stages.sample.configured_regions import select_regions
from rixs_pipeline.stages.sample.region_spectra import extract_region, extract_spectra
from rixs_pipeline.types import Edge
from tests.stages.sample.cobalt_scans import (
    ENERGY,
    numbered_scans,
    scan,
    white_line,
    without_flux,
)

NAME = "LMR-Co_L"
PFY = select_regions("Co_L", None)["Co_PFY"]


def test_readings_and_pfy_are_normalised_to_the_same_maximum():
    scans = numbered_scans(0, 2)
    config = XasConfig(pre_edge=(770, 776))
    absorption = absorption_spectra(scans, extract_region(scans[0], PFY), config, NAME)
    assert absorption.warnings == []
    assert list(absorption.by_channel) == ["tey", "pfy"]
    tey, pfy = absorption.by_channel["tey"], absorption.by_channel["pfy"]
    # five points across the peak: the parabola's maximum is 1.2 % below the largest one
    assert tey["intensity"].values == pytest.approx(white_line(ENERGY), abs=0.015)
    errors = pfy["intensity_errors"].max().item()
    assert pfy["intensity"].max().item() == pytest.approx(1.0, abs=3 * errors)
    assert tey.attrs["passes"] == 3
    assert tey.attrs["pre_edge_line"] == "linear"
    assert tey.attrs["pre_edge"] == [770, 776]


def decreasing_scans():
    """Return scans whose TFY drops by half at the white line."""
    rng, scans = np.random.default_rng(4), []
    for measured in numbered_scans(0, 2):
        signal = 2 - white_line(ENERGY) + rng.normal(0, 0.02, len(ENERGY))
        tfy = ("incident_energy", measured["i0"].values * signal)
        scans.append(measured.assign(reading_tfy=tfy))
    return scans


def test_a_reading_that_decreases_at_the_edge_is_minus_one_at_its_minimum():
    config = XasConfig(channels=("tfy",))
    absorption = absorption_spectra(decreasing_scans(), None, config, NAME)
    tfy = absorption.by_channel["tfy"]
    assert tfy["intensity"].values == pytest.approx(-white_line(ENERGY), abs=0.12)
    assert tfy.attrs["sign"] == -1
    assert absorption.warnings[-1] == (
        "LMR-Co_L: tfy: signal decreases at the edge; scaled so that its minimum is -1"
    )


def test_a_spectrum_that_ends_before_the_edge_cannot_be_normalised():
    scans = [scan(k).isel(incident_energy=slice(0, 14)) for k in range(2)]
    absorption = absorption_spectra(scans, None, XasConfig(scale="edge"), NAME)
    assert not np.isfinite(absorption.by_channel["tey"]["intensity"].values).any()
    advice = "tey: cannot be normalised; set `xas.pre_edge` and `xas.post_edge`"
    assert any(advice in warning for warning in absorption.warnings)


def test_points_without_flux_are_left_out():
    scans = [without_flux(scan(1), [3, 40]), scan(2)]
    tey = absorption_spectra(scans, None, XasConfig(), NAME).by_channel["tey"]
    assert np.isfinite(tey["intensity"].values).all()
    both = [without_flux(scan(k), [3, 40]) for k in range(2)]
    tey = absorption_spectra(both, None, XasConfig(), NAME).by_channel["tey"]
    assert np.flatnonzero(np.isnan(tey["intensity"].values)).tolist() == [3, 40]


def test_a_default_window_without_points_is_replaced_with_a_warning():
    scans = [scan(k).isel(incident_energy=slice(12, None)) for k in range(2)]
    absorption = absorption_spectra(scans, None, XasConfig(scale="edge"), NAME)
    expected = "LMR-Co_L: too few points in the default pre_edge window; fitted from "
    warning = next(w for w in absorption.warnings if w.startswith(expected))
    assert "776.0 to" in warning
    assert warning.endswith("eV (set `xas.pre_edge`)")


def test_scans_without_the_channel_have_no_absorption_spectra():
    config = XasConfig(channels=("current",))
    absorption = absorption_spectra([scan(1)], None, config, NAME)
    assert absorption.by_channel == {}


def test_the_pfy_is_chosen_by_its_kind_and_not_by_a_name():
    """A feature called pfy does not make a TFY a PFY."""
    features = {"pfy": (778.0, 784.0)}
    regions = {
        "A_TFY": Region(kind="tfy", features=features),
        "Z_PFY": PFY,
        "B_PFY": PFY,
    }
    spectra = extract_spectra(scan(1), regions, NAME).by_region
    pfy = select_pfy(spectra.values())
    assert pfy is spectra["Z_PFY"], "the first one in the order of the config"
    without_pfy = {name: spectra[name] for name in ("A_TFY", "log_tey")}
    assert select_pfy(without_pfy.values()) is None


def test_tfy_is_not_used_for_the_pfy(small):
    region = {"edge": "Co_L", "kind": "tfy", "features": {"pfy": [778, 784]}}
    summary = small.run({"regions": {"A": region}}, until="xas")
    assert summary.failed == {}
    assert "pfy" not in summary.items["LMR_RT-Co_L xas"]["channels"]


def test_two_samples_of_an_edge_have_one_model_whatever_their_noise():
    """It depends on the incident energies of all samples, not on readings."""
    config = XasConfig()
    short = ENERGY[ENERGY > 775]
    edge = Edge.Co_L
    assert is_pre_edge_linear(edge, config, [ENERGY, ENERGY])
    assert not is_pre_edge_linear(edge, config, [ENERGY, short])
    constant = XasConfig(pre_edge_line="constant")
    assert not is_pre_edge_linear(edge, constant, [ENERGY, ENERGY])
    assert is_pre_edge_linear(edge, XasConfig(pre_edge_line="linear"), [short])
    assert is_pre_edge_linear(edge, XasConfig(pre_edge=(770, 776)), [short])


def test_a_single_pass_has_errors_too():
    rng = np.random.default_rng(7)
    noisy = scan(1)
    noise = rng.normal(1, 0.003, len(ENERGY))
    noisy["reading_tey"] = noisy["reading_tey"] * noise
    tey = absorption_spectra([noisy], None, XasConfig(), NAME).by_channel["tey"]
    errors = tey["intensity_errors"].values
    clean = absorption_spectra([scan(1)], None, XasConfig(), NAME).by_channel["tey"]
    pulls = (tey["intensity"].values - clean["intensity"].values) / errors
    assert 0.4 < np.sqrt(np.mean(pulls**2)) < 2.0
    assert "single pass" in tey.attrs["errors"]


def flat_scans(seed, passes=2):
    """Return scans of a sample without cobalt, whose TEY is smooth and noisy."""
    rng, scans = np.random.default_rng(seed), []
    for measured in numbered_scans(0, passes - 1):
        tey = 3 * (ENERGY / 770) ** -2.7 * rng.normal(1, 0.01, len(ENERGY))
        i0 = measured["i0"].values
        counts = rng.poisson(0.02, measured["counts"].shape)
        changed = {
            "reading_tey": ("incident_energy", i0 * tey),
            "counts": (measured["counts"].dims, counts),
        }
        scans.append(measured.assign(changed))
    return scans


@pytest.mark.parametrize("scale", ["max", "edge"])
def test_spectra_of_a_sample_without_the_element_are_not_normalised(scale):
    scans = flat_scans(8)
    pfy = extract_region(scans[0], PFY)
    config = XasConfig(scale=scale, pre_edge=(770, 776), post_edge=(790, 800))
    absorption = absorption_spectra(scans, pfy, config, NAME)
    for channel, dataset in absorption.by_channel.items():
        assert np.isnan(dataset["intensity"].values).all(), channel
        assert "no significant" in dataset.attrs["not_normalised"]
    (line,) = absorption.warnings
    assert line.startswith(
        f"{NAME}: not normalised: tey: no significant edge: readings follow a smooth "
    )
    assert "; pfy: no significant Co L edge: emission at 762 to 800 eV rises by" in line


def test_a_jump_within_its_error_is_no_divisor():
    """The edge is there, but the line before it is not known up to the edge."""
    scans = numbered_scans(0, 0)
    config = XasConfig(scale="edge", pre_edge=(770, 771.4), post_edge=(799, 800))
    pfy = extract_region(scans[0], PFY)
    absorption = absorption_spectra(scans, pfy, config, NAME)
    dataset = absorption.by_channel["pfy"]
    assert np.isnan(dataset["intensity"].values).all()
    assert "is not significant (set `xas.pre_edge`" in absorption.warnings[-1]
    assert "no significant" not in absorption.warnings[-1]
