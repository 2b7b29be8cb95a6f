import numpy as np
import pytest

from rixs_pipeline.core.calibration import line_assignment as peaks
from tests.core.photons import ENERGY, SIX, emitted, energy, height, seen

Gain = tuple[float, float, float]
ALL = np.ones(6)


def random_gain(rng: np.random.Generator) -> Gain:
    """Within a factor of two; curvature and offset as in real arrays."""
    return (
        3e4 * 2 ** rng.uniform(-0.5, 0.5),
        rng.uniform(1700, 2300),
        rng.uniform(-450, 450),
    )


def spectrum(
    rng: np.random.Generator, counts: int, lines: dict[str, float], elastic: float = 0.0
) -> np.ndarray:
    """Energies eV of a reference run: lines with their L beta, elastic light at 1000 eV, 2 % of background."""
    parts = [
        emitted(rng, name, rng.poisson(counts * weight))
        for name, weight in lines.items()
    ]
    parts.append(np.full(rng.poisson(counts * elastic), 1000.0))
    number = sum(len(part) for part in parts)
    parts.append(rng.uniform(100, 1000, number // 50))
    return seen(rng, np.concatenate(parts), fwhm=float(rng.uniform(1.4, 4.0)))


def right(found: peaks.LineAssignment, gain: Gain, present: np.ndarray) -> bool:
    """The assigned curve puts every line that is there close enough to be fitted, and to no other line."""
    return bool(
        (np.abs(found.energies(height(ENERGY, *gain)) - ENERGY) < 8)[present].all()
    )


def outcomes(
    counts: int,
    lines: dict[str, float],
    elastic: float,
    parked: float = 1000.0,
    gains: int = 100,
) -> list[tuple[bool, bool]]:
    """(clear, right) of many pixels; `parked` is the reading of the monochromator."""
    present = np.isin(SIX, list(lines))
    result = []
    for seed in range(gains):
        rng = np.random.default_rng(seed)
        gain = random_gain(rng)
        at = peaks.find_peaks(height(spectrum(rng, counts, lines, elastic), *gain))
        found = peaks.assign(at, ENERGY, ALL, parked)
        result.append(
            (
                found is not None and found.is_unambiguous,
                found is not None and right(found, gain, present),
            )
        )
    return result


PLAIN = dict.fromkeys(SIX, 1.0)


@pytest.mark.parametrize(
    ("counts", "lines", "elastic", "parked", "gains"),
    [
        pytest.param(1000, PLAIN, 0.0, np.nan, 100, id="lines alone"),
        pytest.param(
            1000,
            PLAIN | {"Mn_La": 0.3},
            1.5,
            1002.6,
            200,
            id="elastic and a contaminant",
        ),
        pytest.param(200, PLAIN, 0.5, 1000.0, 100, id="200 counts a line"),
        pytest.param(
            200,
            PLAIN,
            1.0,
            1000.0,
            300,
            id="200 counts a line, the elastic one as strong as they",
        ),
        pytest.param(
            1000,
            dict(zip(SIX, (3.0, 0.7, 1.0, 0.5, 1.0, 0.4), strict=True)),
            2.0,
            np.nan,
            100,
            id="unequal lines, the reading is not known",
        ),
    ],
)
def test_every_pixel_is_assigned(
    counts: int, lines: dict[str, float], elastic: float, parked: float, gains: int
) -> None:
    found = outcomes(counts, lines, elastic, parked, gains)
    assert all(ok for _, ok in found)
    assert np.mean([clear for clear, _ in found]) > 0.995


def test_a_line_that_is_not_there() -> None:
    """The others are found in most pixels; a wrong assignment that calls itself clear is rare."""
    found = []
    for missing in ("C_Ka", "N_Ka", "Fe_La", "Cu_La"):
        found += outcomes(
            1000, {name: 1.0 for name in SIX if name != missing}, 1.0, gains=50
        )
    assert np.mean([clear and ok for clear, ok in found]) > 0.8
    assert np.mean([clear and not ok for clear, ok in found]) < 0.02


def test_one_line_of_the_list_is_known_to_be_missing() -> None:
    """What the array agreed on is assigned, the others' peaks are extra ones."""
    names = [name for name in SIX if name != "O_Ka"]
    keep = np.isin(SIX, names)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        gain = random_gain(rng)
        at = peaks.find_peaks(height(spectrum(rng, 1500, PLAIN, 1.0), *gain))
        found = peaks.assign(at, ENERGY[keep], ALL[keep], 1000.0)
        assert found is not None and found.is_unambiguous
        np.testing.assert_allclose(
            energy(at.pulse_height, *gain)[found.line_peaks], ENERGY[keep], atol=6
        )


def test_assigned_curve_is_its_own_inverse() -> None:
    rng = np.random.default_rng(3)
    found = peaks.assign(
        peaks.find_peaks(height(spectrum(rng, 2000, PLAIN), 3e4, 2000.0, 100.0)),
        ENERGY,
        ALL,
    )
    assert found is not None
    np.testing.assert_allclose(
        found.energies(found.pulse_height(ENERGY)), ENERGY, rtol=1e-9
    )
    np.testing.assert_allclose(
        found.energies(height(ENERGY, 3e4, 2000.0, 100.0)), ENERGY, atol=10
    )


def test_peaks_are_found_where_they_are_strongest_first() -> None:
    rng = np.random.default_rng(5)
    heights = np.concatenate(
        [
            rng.normal(4000, 15, 500),
            rng.normal(9000, 15, 5000),
            rng.normal(12000, 15, 1500),
        ]
    )
    found = peaks.find_peaks(heights)
    np.testing.assert_allclose(found.pulse_height[:3], [9000, 12000, 4000], atol=12)
    assert (np.diff(found.significance) <= 0).all()
    # the square root of N Poisson counts has a standard deviation of one half
    assert found.significance[2] == pytest.approx(2 * np.sqrt(500), rel=0.2)


def test_one_peak_cannot_be_assigned() -> None:
    rng = np.random.default_rng(6)
    at = peaks.find_peaks(
        height(seen(rng, np.full(3000, 1000.0), 3.0), 3e4, 2000.0, 100.0)
    )
    found = peaks.assign(at, ENERGY, ALL)
    assert found is None or not found.is_unambiguous


@pytest.mark.parametrize("number", [0, 1, 30])
def test_next_to_no_pulses_have_no_peaks(number: int) -> None:
    at = peaks.find_peaks(np.random.default_rng(1).uniform(100, 12000, number))
    assert len(at.pulse_height) == 0
    assert peaks.assign(at, ENERGY, ALL) is None


def test_equal_pulses_do_not_crash() -> None:
    at = peaks.find_peaks(np.full(1000, 5000.0))
    assert len(at.pulse_height) <= 1


def test_two_lines_are_too_few() -> None:
    at = peaks.find_peaks(
        height(spectrum(np.random.default_rng(1), 2000, PLAIN), 3e4, 2000.0, 100.0)
    )
    assert peaks.assign(at, ENERGY[:2], ALL[:2]) is None


@pytest.mark.parametrize("kind", ["flat", "exponential"])
def test_noise_is_not_clear(kind: str) -> None:
    clear = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        noise = (
            rng.uniform(0.0, 12000.0, 10000)
            if kind == "flat"
            else rng.exponential(2000.0, 5000)
        )
        at = peaks.find_peaks(noise)
        found = peaks.assign(at, ENERGY, ALL)
        clear += found is not None and found.is_unambiguous
    assert clear == 0
