"""Changes of the range of I0: which are found, and how often without any.

    python -m tests.truth.flux --beamtimes N --seed S

Every beamtime has two samples with two to five passes each at one edge, with photons
drawn from the spectra of the simulator, and nothing but counts and readings: pulses do
not matter here. Sound ones have what moves I0 and rates in practice (`CONDITIONS`).
Then the I0 of one pass, or of a part of it, is multiplied by a factor.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.flux.pass_levels import UsualFlux
from rixs_pipeline.io.runs import Points
from rixs_pipeline.schema import POINT_I0_UNUSABLE, POINT_NO_I0
from rixs_pipeline.simulate.schedule import add_readings, plan_runs
from rixs_pipeline.simulate.settings import SimulationSettings
from rixs_pipeline.simulate.source import source_of_run
from rixs_pipeline.stages.flux.compare_passes import compare_pass_flux
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.exposure_scale import ExposureScale
from rixs_pipeline.stages.scan.scan_map import make_scan_map
from tests.stages.builders import scan
from tests.stages.scan.counts import EDGES, GOOD, scan_counts

CHANNELS = ("tey", "tfy")
FACTORS = (1.5, 2.0, 5.0, 10.0, 0.1, 1000.0)


@dataclass
class Pass:
    """A scan before its photons are drawn.

    `beam` (point,) makes photons and readings; `transmission` (point,) lies behind I0,
    and dims the photons alone; `i0` is what the channel reads.
    """

    number: int
    sample: str
    energy: np.ndarray
    dwell: np.ndarray
    yields: np.ndarray
    beam: np.ndarray
    transmission: np.ndarray
    i0: np.ndarray
    tey: np.ndarray
    tfy: np.ndarray

    def change_beam(self, factor):
        """Multiply the beam; photons and all readings follow."""
        for name in ("beam", "i0", "tey", "tfy"):
            setattr(self, name, getattr(self, name) * factor)


# ---- what is sound


def decaying(passes, rng):
    """The beam decays to a third over each pass."""
    for one in passes:
        one.change_beam(np.exp(-np.linspace(0, np.log(3), len(one.beam))))


def dumped(passes, rng):
    """The beam is dumped for some points, and a dark reading of I0 remains."""
    for one in passes:
        first, number = rng.integers(0, len(one.beam) - 2), rng.integers(1, 12)
        factor = np.ones(len(one.beam))
        factor[first : first + number] = 1e-3
        one.change_beam(factor)
        one.i0 += rng.choice([0.0, 0.02]) * np.median(one.i0)


def shutter_half_closed(passes, rng):
    """Something dims the photons behind I0, from a point of one pass on."""
    one = passes[rng.integers(len(passes))]
    one.transmission[rng.integers(5, len(one.beam)) :] *= rng.uniform(0.3, 0.7)


def slits_changed_between_passes(passes, rng):
    """Every pass has a beam of its own, up to five times another one's."""
    for one in passes:
        one.change_beam(np.exp(rng.uniform(-0.8, 0.8)))


def slits_changed_within_a_pass(passes, rng):
    """The beam changes two- to eightfold at a point of one pass."""
    one = passes[rng.integers(len(passes))]
    factor = np.ones(len(one.beam))
    factor[rng.integers(5, len(one.beam) - 5) :] = 2.0 ** rng.choice([-3, -1, 1, 3])
    one.change_beam(factor)


def slits_changed_between_samples(passes, rng):
    """The beam of the second sample is ten times larger; the readings follow."""
    for one in passes:
        if one.sample != passes[0].sample:
            one.change_beam(10.0)


def fresh_spots(passes, rng):
    """Every pass is on a spot of another thickness."""
    for one in passes:
        one.transmission *= np.exp(rng.normal(0, 0.25))
        one.tey *= np.exp(rng.normal(0, 0.25))


def noisy_i0(passes, rng):
    """I0 is a count of about 40 photons."""
    for one in passes:
        one.i0 = rng.poisson(40 * one.i0 / 1e5).astype(float)


def dip_of_the_optics(passes, rng):
    """Carbon on the mirrors takes half the beam in two points."""
    at = rng.integers(5, len(passes[0].beam) - 5)
    for one in passes:
        factor = np.ones(len(one.beam))
        factor[at : at + 2] = 0.4
        one.change_beam(factor)


def without_readings(passes, rng):
    """There is neither TEY nor TFY."""
    for one in passes:
        one.tey[:] = np.nan
        one.tfy[:] = np.nan


def dead_readings(passes, rng):
    """TEY is an offset alone, TFY is noise; the beam changes between passes."""
    for one in passes:
        one.change_beam(np.exp(rng.uniform(-0.8, 0.8)))
        one.tey = 1000 + rng.normal(0, 1, len(one.beam))
        one.tfy = rng.normal(0, 1, len(one.beam))


def missing_readings(passes, rng):
    """I0 is missing at some points."""
    for one in passes:
        one.i0[rng.random(len(one.i0)) < 0.1] = np.nan


def aborted(passes, rng):
    """A pass ends early."""
    one = passes[-1]
    stop = rng.integers(8, len(one.beam))
    for name, values in vars(one).items():
        if isinstance(values, np.ndarray):
            setattr(one, name, values[:stop])


def other_points(passes, rng):
    """The passes have different incident energies."""
    for one in passes:
        one.energy = one.energy + rng.uniform(-0.05, 0.05)


def plain(passes, rng):
    """Nothing but a beam that drifts and fluctuates."""


CONDITIONS: tuple[Callable, ...] = (
    plain,
    decaying,
    dumped,
    shutter_half_closed,
    slits_changed_between_passes,
    slits_changed_within_a_pass,
    slits_changed_between_samples,
    fresh_spots,
    noisy_i0,
    dip_of_the_optics,
    without_readings,
    dead_readings,
    missing_readings,
    aborted,
    other_points,
)


# ---- beamtimes


def plan(rng):
    """Passes of two samples at one edge, with the readings of the simulator."""
    settings = SimulationSettings(
        seed=int(rng.integers(2**31)),
        edges=(str(rng.choice(["Co_L", "O_K", "C_K", "Ni_L"])),),
        passes=int(rng.integers(2, 6)),
        points=int(rng.integers(30, 90)),
        dwell=float(rng.uniform(0.5, 4)),
        beam_dumps=(),
        aborted_scans=(),
    )
    passes = []
    for run in plan_runs(settings):
        if run.sample is None:
            continue
        source = source_of_run(settings, run)
        run = add_readings(run, source.yields, settings.seed)
        passes.append(
            Pass(
                run.number,
                run.sample.name,
                run.energy,
                run.end - run.start,
                source.yields / source.yields.mean(),
                run.beam,
                np.ones(len(run.energy)),
                *(run.readings[name].copy() for name in ("i0", *CHANNELS)),
            )
        )
    return passes


def measure(one, pixels, rate, rng):
    """Draw the photons of a pass and make its map."""
    start = np.round((np.cumsum(one.dwell + 0.3) - one.dwell) * 1e9).astype(np.int64)
    points = Points(one.energy, start, start + np.round(one.dwell * 1e9).astype(int))
    photons = rate * one.beam * one.transmission * one.yields * one.dwell
    noise = 0.02 * rate * one.dwell  # triggers without light
    triggers = rng.poisson((photons + noise)[None, :], (pixels, len(photons)))
    readings = {"i0": one.i0, "tey": one.tey, "tfy": one.tfy}
    readings = {name: v for name, v in readings.items() if np.isfinite(v).any()}
    run = scan(
        at=points,
        number=one.number,
        name=f"scan{one.number:04d}",
        sample=one.sample,
        readings=readings,
    )
    live = np.broadcast_to(one.dwell, triggers.shape).copy()
    counts = replace(scan_counts(triggers), live_time=live)
    counted = CountedScan(run, counts, (GOOD,) * pixels)
    scale = ExposureScale(1e5, dict.fromkeys(counts.pixel.tolist(), 1.0))
    return make_scan_map(counted, EDGES, NormaliseConfig(), scale, ())


@dataclass(frozen=True)
class Outcome:
    """What was left out, and what was said."""

    left_out: frozenset[int]
    suggestion: str
    points: int  # not used because of their I0, but for missing readings


def compare(passes, pixels, rate, rng):
    """Compare the passes of each sample; those of the other show the usual I0."""
    maps = [measure(one, pixels, rate, rng) for one in passes]
    samples = list(dict.fromkeys(one.sample for one in passes))
    left_out, losses, unusable = set(), [], 0
    for sample in samples:
        of_sample = [
            made.dataset
            for made, one in zip(maps, passes, strict=True)
            if one.sample == sample
        ]
        others = [
            made.dataset.attrs["flux_levels"]
            for made, one in zip(maps, passes, strict=True)
            if one.sample != sample
        ]
        result = compare_pass_flux(
            of_sample, NormaliseConfig(), CHANNELS, sample, _usual_flux(others)
        )
        left_out |= {int(name[-4:]) for name in result.left_out}
        losses += result.losses
        for made, one in zip(maps, passes, strict=True):
            if one.sample == sample and one.number not in left_out:
                status = made.dataset["point_status"].values
                is_read = np.isfinite(one.i0) & (one.i0 > 0)
                is_unusable = (status == POINT_I0_UNUSABLE) | (status == POINT_NO_I0)
                unusable += int((is_unusable & is_read).sum())
        unusable += len(result.warnings)
    return Outcome(frozenset(left_out), " ".join(losses), unusable)


def _usual_flux(levels):
    """The flux of the scans of the other sample."""

    def median(divisor=None):
        values = [
            np.log(of["i0"] / (of[divisor] if divisor else 1.0))
            for of in levels
            if of.get("i0", 0) > 0 and (divisor is None or of.get(divisor, 0) > 0)
        ]
        return float(np.median(values)) if values else np.nan

    return UsualFlux(median(), tuple(median(c) for c in ("photons", *CHANNELS)))


def run_sound(number, seed):
    """Print how many sound beamtimes lose a pass or a point."""
    false, total = Counter(), Counter()
    for index in range(number):
        rng = np.random.default_rng([seed, index])
        condition = CONDITIONS[index % len(CONDITIONS)]
        passes = plan(rng)
        condition(passes, rng)
        pixels, rate = int(rng.integers(2, 12)), float(10 ** rng.uniform(-0.3, 1.5))
        outcome = compare(passes, pixels, rate, rng)
        total[condition.__name__] += 1
        if outcome.left_out or outcome.points:
            false[condition.__name__] += 1
            print(f"  {condition.__name__} {index}: {outcome}")
    print(f"sound: {sum(false.values())} of {sum(total.values())} lose a pass or point")
    for name, count in total.items():
        print(f"  {name:32} {false[name]:3d} of {count}")


def run_faults(number, seed):
    """Print how many passes of another range are found (with the right config)."""
    for kind in ("whole pass", "from a point on"):
        for factor in FACTORS:
            found, exact, false, total = Counter(), Counter(), 0, Counter()
            for index in range(number):
                rng = np.random.default_rng([seed, 7, index])
                passes = plan(rng)
                beam = plain if index % 2 else slits_changed_between_passes
                beam(passes, rng)
                odd = passes[rng.integers(len(passes))]
                first = 0
                if kind == "from a point on":
                    first = int(rng.integers(4, len(odd.i0) - 4))
                odd.i0[first:] *= factor
                pixels = int(rng.integers(2, 12))
                rate = float(10 ** rng.uniform(-0.3, 1.5))
                outcome = compare(passes, pixels, rate, rng)
                total[beam] += 1
                found[beam] += odd.number in outcome.left_out
                false += bool(outcome.left_out - {odd.number})
                exact[beam] += _is_exact(outcome.suggestion, odd.number, first, factor)
            counts = ", ".join(
                f"{beam.__name__}: {found[beam]} ({exact[beam]}) of {total[beam]}"
                for beam in total
            )
            print(
                f"  {kind:15} x{factor:<6g} {counts}; other passes {false}", flush=True
            )


def _is_exact(suggestion, number, first, factor):
    plain_text = f"{number}: {1 / factor:g}"
    from_point = f"{number}: {{from_point: {first}, factor: {1 / factor:g}}}"
    return (plain_text if first == 0 else from_point) in suggestion


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beamtimes", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    run_sound(arguments.beamtimes, arguments.seed)
    run_faults(max(arguments.beamtimes // 5, 1), arguments.seed)


if __name__ == "__main__":
    main()
