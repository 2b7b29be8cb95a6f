"""Do pixels of sound reference runs stay ok, and are wrong ones reported?

    python -m tests.truth.identification --beamtimes 100 --seed 1

draws reference runs in memory, without files: sound ones of many kinds (few counts, two
pixels, 1.2 to 10 eV resolution, other tables, hard X-rays), whose pixels must all be
ok, and wrong ones (other scale, lines that are not there, a line that is missing),
where no pixel may be ok with energies that are off by more than `WRONG_EV`.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from rixs_pipeline.config import CalibrationConfig, ReferenceSet
from rixs_pipeline.config.calibration import ReferenceLine
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.calibration.reference_consistency import compare_lines
from rixs_pipeline.core.calibration.reference_run import Calibration, calibrate_pixels
from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.stages.reference.calibrate_run import unexplained_energies
from rixs_pipeline.stages.reference.calibration_options import (
    calibration_options,
    reference_lines,
)
from rixs_pipeline.stages.reference.calibration_warnings import MAX_DEVIATIONS

SOFT = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")
SOFT_METALS = ("Ti_La", "V_La", "Cr_La", "Mn_La", "Co_La", "Zn_La")
HARD = ("Si_Ka", "S_Ka", "Ca_Ka", "Ti_Ka", "Fe_Ka", "Cu_Ka")
HARD_OTHERS = ("P_Ka", "Cl_Ka", "K_Ka", "V_Ka", "Cr_Ka", "Mn_Ka", "Ni_Ka", "Zn_Ka")
DURATION = 900.0  # s
# an energy between the lines is wrong if it is off by more, for lines up to 1 keV: the
# tables of reference lines differ by up to 2.8 eV
WRONG_EV = 5.0


@dataclass
class ReferenceRun:
    """A reference run to be drawn, and how it is reduced."""

    lines: tuple[str, ...]
    source_set: str = "srd128"  # what the sample emits
    reduced_with: str = "srd128"
    named: tuple[str, ...] | None = None  # `calibration.lines`
    pixels: int = 8
    counts: float = 500.0  # of a line
    strengths: dict[str, float] = field(default_factory=dict)  # relative to `counts`
    fwhm: float = 2.0  # eV
    full_scale: float = 1000.0  # eV, which the gains are made for
    parked: float = np.nan  # logged energy of the monochromator
    elastic_slip: float = 0.0  # true energy of the elastic light - logged, eV
    noise_peak: float = 0.0  # pulses near zero, relative to a line
    gain_factors: tuple[float, ...] = (1.0,)  # of the pixels in turn
    scatter: float = 0.0  # eV, of the emitted lines against the table
    moved: dict[str, float] = field(default_factory=dict)  # eV, against the table


def draw(run: ReferenceRun, rng: np.random.Generator) -> tuple[list, list]:
    """Return the pulses of each pixel, and its gain: energy (n,) eV -> pulse height."""
    source = emitted_lines(run)
    shifts = {
        name: run.scatter * rng.normal() + run.moved.get(name, 0.0)
        for name in run.lines
    }
    pulses, gains = [], []
    for number in range(run.pixels):
        gain = draw_gain(run, number, rng)
        photons = []
        for name in run.lines:
            expected = run.counts * run.strengths.get(name, 1.0)
            photons.append(
                emit(source[name], rng.poisson(expected), rng) + shifts[name]
            )
        if np.isfinite(run.parked):
            elastic = np.full(rng.poisson(run.counts), run.parked + run.elastic_slip)
            photons.append(elastic)
        background = rng.uniform(0.1, 1.1, rng.poisson(0.3 * run.counts))
        photons.append(background * run.full_scale)
        noise = rng.normal(0.03, 0.01, rng.poisson(run.noise_peak * run.counts))
        photons.append(np.abs(noise) * run.full_scale)
        energies = detect(np.concatenate(photons), run, rng)
        heights = gain(energies)
        rng.shuffle(heights)
        pulses.append(as_pulses(number, heights, rng))
        gains.append(gain)
    return pulses, gains


def emitted_lines(run: ReferenceRun) -> dict[str, ReferenceLine]:
    """Return the lines that the sample may emit; F Ka is in no reference set."""
    lines = dict(load_reference_set(run.source_set).lines)
    fluorine = {"energy": 676.8, "shape": ((0.0, 1.5, 1.0),), "sigma": 1.0}
    return lines | {"F_Ka": lines[run.lines[0]].model_copy(update=fluorine)}


def draw_gain(
    run: ReferenceRun, number: int, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a saturating gain with a smooth deviation of 0.3 to 1 eV rms at 1 keV."""
    unit = run.full_scale / 1000
    factor = run.gain_factors[number % len(run.gain_factors)]
    a = 3e4 * 2 ** rng.uniform(-0.5, 0.5) * factor
    b = 2000 * np.exp(rng.normal(0, 0.06)) * unit
    d = rng.uniform(-300, 300) * factor
    size = rng.uniform(0.3, 1.0) * unit
    periods = rng.uniform(450, 1300, 2) * unit
    phases = rng.uniform(0, 2 * np.pi, 2)

    def gain(energies: np.ndarray) -> np.ndarray:
        angles = 2 * np.pi * energies[:, None] / periods + phases
        rough = energies + size * np.sin(angles).sum(axis=1)
        return np.asarray(a * (1 - np.exp(-rough / b)) + d)

    return gain


def emit(line, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return energies (number,) eV of a line as it leaves the sample."""
    offset, fwhm, share = np.array(line.shape).T
    which = rng.choice(len(share), number, p=share / share.sum())
    cauchy = np.clip(rng.standard_cauchy(number), -60, 60)
    lorentzian = offset[which] + 0.5 * fwhm[which] * cauchy
    return np.asarray(line.energy + lorentzian + rng.normal(0, line.sigma, number))


def detect(
    energies: np.ndarray, run: ReferenceRun, rng: np.random.Generator
) -> np.ndarray:
    """Return energies (n,) eV with the detector's tail and resolution."""
    n = len(energies)
    length = 20.0 * np.sqrt(run.full_scale / 1000)
    lost = np.where(rng.random(n) < 0.15, rng.exponential(length, n), 0.0)
    seen = energies - lost + rng.normal(0, run.fwhm / 2.3548, n)
    return np.maximum(seen, 1.0)


def as_pulses(
    number: int, heights: np.ndarray, rng: np.random.Generator
) -> ReferencePulses:
    """Return pulses of given heights, with baselines, phases and times."""
    n = len(heights)
    return ReferencePulses(
        pixel=2 * number + 1,
        pulse_height=heights,
        pretrigger_mean=rng.normal(5000, 4.5, n),
        phase=rng.uniform(-0.7, 0.3, n),
        residual=rng.normal(30, 2, n),
        time=np.sort(rng.uniform(0, DURATION, n)),
        since_last=np.full(n, np.inf),
    )


def calibrate(run: ReferenceRun, pulses: list) -> Calibration:
    """Calibrate the pixels as the config would."""
    options = calibration_options(CalibrationConfig(lines=run.named))
    lines = reference_lines(reference_set(run))
    return calibrate_pixels(pulses, lines, options, run.parked)


def reference_set(run: ReferenceRun) -> ReferenceSet:
    """Return the set that a run is reduced with."""
    return load_reference_set(run.reduced_with)


def worst_errors(run: ReferenceRun, gains: list, result: Calibration) -> np.ndarray:
    """Return the largest error (pixel,) eV between the emitted lines."""
    source = emitted_lines(run)
    used = result.lines.energy[result.lines.is_anchor]
    emitted = np.array([source[name].energy for name in run.lines])
    if len(used):
        is_inside = (emitted > used.min() - 20) & (emitted < used.max() + 20)
    inside = emitted[is_inside] if len(used) and is_inside.sum() > 1 else emitted
    probes = np.linspace(inside.min(), inside.max(), 50)
    errors = np.full(len(gains), np.nan)
    for row, gain in enumerate(gains):
        energies = curve_energy(gain(probes), result.params[row])
        errors[row] = np.abs(energies - probes).max()
    return errors


def has_word(run: ReferenceRun, result: Calibration, is_ok: np.ndarray) -> bool:
    """Return whether the screen has a line on a run: `calibration_warnings`."""
    if not is_ok.all():
        return True
    anchors = result.lines.is_anchor
    residual = result.line_residual[:, anchors]
    is_missing = np.isnan(residual).mean(axis=0) > 0.5
    is_narrow = (
        result.is_narrowest[:, anchors].sum() > 0.5 * np.isfinite(residual).sum()
    )
    is_named_missing = run.named is not None and is_missing.any()
    deviations = compare_lines(
        result.lines.energy[anchors],
        result.lines.energy_errors[anchors],
        residual[None],
        result.line_left_out[None][..., anchors],
    ).deviations
    is_contradicting = np.abs(deviations) > MAX_DEVIATIONS
    return bool(
        is_narrow
        or is_named_missing
        or unexplained_energies(result)
        or is_contradicting.any()
    )


# ---- sound runs


def sound_run(rng: np.random.Generator) -> ReferenceRun:
    """Draw a reference run that is as expected, in one of its varieties."""
    makers = (sound_soft_run, sound_soft_run, sound_hard_run, odd_run)
    return makers[rng.integers(len(makers))](rng)


def odd_run(rng: np.random.Generator) -> ReferenceRun:
    """Draw a sound reference run that is unusual in one respect."""
    kind = rng.integers(7)
    run = ReferenceRun(
        lines=SOFT,
        pixels=int(rng.choice([2, 4, 12])),
        counts=float(rng.choice([300, 1000])),
        fwhm=float(rng.choice([1.4, 3])),
        parked=1000.0,
        scatter=0.5,
    )
    if kind == 0:  # 100 counts a line
        return replace(run, counts=100.0)
    if kind == 1:  # gains twice and half as high in some pixels
        return replace(run, gain_factors=(1.0, 2.0, 0.5, 1.0))
    if kind == 2:  # a noise peak ten times as strong as a line
        return replace(run, noise_peak=10.0)
    if kind == 3:  # a strong contaminant that no reference set has
        return replace(run, lines=(*SOFT, "F_Ka"), strengths={"F_Ka": 2.0})
    if kind == 4:  # poor resolution
        return replace(run, fwhm=10.0, counts=1000.0)
    if kind == 5:  # lines of very different strength
        strengths = dict(zip(SOFT, rng.uniform(0.3, 5, 6).tolist(), strict=True))
        return replace(run, strengths=strengths)
    return replace(run, pixels=1)


def sound_soft_run(rng: np.random.Generator) -> ReferenceRun:
    """Draw a sound reference run of lines up to 1 keV."""
    extra = rng.choice(SOFT_METALS, rng.integers(0, 3), replace=False)
    n_lines = rng.integers(5, 7)
    chosen = rng.choice(SOFT, n_lines, replace=False)
    lines = tuple(str(name) for name in (*chosen, *extra))
    return ReferenceRun(
        lines=lines,
        pixels=int(rng.choice([2, 3, 8, 16])),
        counts=float(rng.choice([150, 300, 1000, 3000])),
        fwhm=float(rng.choice([1.2, 1.4, 2, 3, 5])),
        parked=float(rng.choice([np.nan, 1000.0, 1050.0])),
        elastic_slip=rng.normal(0, 2),
        reduced_with=str(rng.choice(["srd128", "srd128", "elam", "ucal"])),
        scatter=0.5,
        noise_peak=float(rng.choice([0, 0, 1])),
    )


def sound_hard_run(rng: np.random.Generator) -> ReferenceRun:
    """Draw a sound reference run of 1.7 to 8.6 keV."""
    extra = rng.choice(HARD_OTHERS, rng.integers(0, 3), replace=False)
    lines = tuple(str(name) for name in (*HARD, *extra))
    return ReferenceRun(
        lines=lines,
        source_set="kalpha",
        reduced_with="kalpha",
        pixels=int(rng.choice([2, 3, 8, 16])),
        counts=float(rng.choice([150, 300, 1000, 3000])),
        fwhm=float(rng.choice([3, 5, 8, 12])),
        full_scale=8000.0,
        scatter=0.5,
        named=lines,
    )


# ---- wrong runs


def hard_lines_soft_set(rng: np.random.Generator) -> ReferenceRun:
    """Return a detector at 2 to 8 keV that is reduced with soft lines."""
    sets = ("srd128", "elam", "ucal", "hauskat2024")
    chosen = str(rng.choice(sets))
    return replace(sound_hard_run(rng), reduced_with=chosen, named=None)


def soft_lines_hard_set(rng: np.random.Generator) -> ReferenceRun:
    """Return soft lines that are reduced with K lines of 1 to 9 keV."""
    run = replace(sound_run(rng), reduced_with="kalpha")
    if run.source_set == "kalpha":
        return soft_lines_hard_set(rng)
    return run


def hard_lines_named_soft(rng: np.random.Generator) -> ReferenceRun:
    """Return a detector at 2 to 8 keV whose config names soft lines."""
    return replace(sound_hard_run(rng), reduced_with="srd128", named=SOFT)


def wrong_names(rng: np.random.Generator) -> ReferenceRun:
    """Return soft lines of which the config names two or three wrong."""
    run = ReferenceRun(
        lines=SOFT,
        pixels=int(rng.choice([1, 2, 8])),
        counts=float(rng.choice([300, 1000])),
        fwhm=float(rng.choice([1.4, 3])),
        parked=float(rng.choice([np.nan, 1000.0])),
    )
    n_wrong = rng.integers(2, 4)
    kept = rng.choice(SOFT, 6 - n_wrong, replace=False)
    wrong = rng.choice(SOFT_METALS, n_wrong, replace=False)
    return replace(run, named=tuple(str(name) for name in (*kept, *wrong)))


def two_lines_apart(rng: np.random.Generator) -> ReferenceRun:
    """Return lines of which two are 6 to 12 eV from where the table has them."""
    run = ReferenceRun(
        lines=SOFT,
        pixels=int(rng.choice([1, 2, 8])),
        counts=float(rng.choice([300, 1000])),
        fwhm=float(rng.choice([1.4, 3])),
    )
    moved = rng.choice(SOFT[1:], 2, replace=False)
    shifts = rng.choice([-1, 1], 2) * rng.uniform(6, 12, 2)
    return replace(run, moved=dict(zip(map(str, moved), shifts, strict=True)))


def other_metals(rng: np.random.Generator) -> ReferenceRun:
    """Return a sample of metals that the set hauskat2024 does not have."""
    lines = tuple(str(name) for name in rng.permutation(SOFT_METALS))
    return ReferenceRun(
        lines=lines,
        reduced_with="hauskat2024",
        pixels=int(rng.choice([1, 2, 8])),
        counts=float(rng.choice([300, 1000])),
    )


WRONG = (
    hard_lines_soft_set,
    soft_lines_hard_set,
    hard_lines_named_soft,
    wrong_names,
    two_lines_apart,
    other_metals,
)


def main() -> None:
    """Print how many sound runs lose pixels, and how many wrong ones are silent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beamtimes", type=int, default=100, help="of each sort")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-v", action="store_true", help="list every miss")
    arguments = parser.parse_args()
    kinds = {"sound": [sound_run], "wrong": WRONG}
    for sort, makers in kinds.items():
        table: Counter[str] = Counter()
        probabilities = []
        for number in range(arguments.beamtimes):
            rng = np.random.default_rng([arguments.seed, number, sort == "wrong"])
            maker = makers[number % len(makers)]
            run = maker(rng)
            name = maker.__name__ if sort == "wrong" else run.source_set
            pulses, gains = draw(run, rng)
            result = calibrate(run, pulses)
            is_ok = np.array([status.is_ok for status in result.status])
            probabilities.append(result.misfit_probability[is_ok])
            errors = worst_errors(run, gains, result)
            limit = WRONG_EV * max(1.0, run.full_scale / 1000)
            is_wrong = is_ok & ~(errors < limit)
            table[f"{name}: runs"] += 1
            table[f"{name}: pixels"] += len(is_ok)
            table[f"{name}: pixels not ok"] += int((~is_ok).sum())
            table[f"{name}: runs without an ok pixel"] += int(not is_ok.any())
            table[f"{name}: pixels ok and wrong"] += int(is_wrong.sum())
            is_silent = is_wrong.any() and not has_word(run, result, is_ok)
            table[f"{name}: wrong runs without a word"] += int(is_silent)
            if sort == "sound" and is_ok.all():
                table[f"{name}: runs with a warning"] += has_word(run, result, is_ok)
            is_missed = is_wrong.any() or (sort == "sound" and not is_ok.all())
            if is_missed and arguments.v:
                texts = Counter(
                    f"{status} [{error:.1f} eV]" if status.is_ok else str(status)
                    for status, error in zip(result.status, errors, strict=True)
                    if sort == "wrong" or not status.is_ok
                )
                print(sort, number, run, result.lines.names, dict(texts), sep="\n   ")
        quantiles = np.nanquantile(np.concatenate(probabilities), [0, 0.01, 0.1, 0.5])
        print(f"{sort}: misfit probability of ok pixels: {quantiles.round(5)}")
        for key, value in sorted(table.items()):
            print(f"{sort}  {key}: {value}")


if __name__ == "__main__":
    main()
