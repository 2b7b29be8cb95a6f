"""Which lines a reference run shows, told by the array as a whole, and each pixel's assignment to them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixs_pipeline.config.models import CalibrationConfig, ReferenceLine, ReferenceSet
from rixs_pipeline.core.calibration import line_assignment as peaks
from rixs_pipeline.core.calibration.line_shapes import LineGrid
from rixs_pipeline.core.calibration.pixel import Pixel

Float = NDArray[np.float64]

WINDOW_EV = (-25.0, 28.0)  # around a line: its low tail, and the Lb of metals above
ELASTIC_REACH_EV = (
    15.0  # how far from the parked monochromator's reading its line is looked for
)
ELASTIC = "elastic"
VOTERS = 24  # pixels that tell which lines are there: more say the same
FEWEST, N_BENDS = (
    3,
    9,
)  # pixels that tell how an array's gains bend, and how many bends are tried within what they show
MAY_BE = (
    0.05  # weight of a line that may be there, against 1 for one that the config names
)


@dataclass(frozen=True)
class Lines:
    """The lines that a reference run is fitted with, ascending; `anchors` bool (line,): those that carry the scale."""

    names: tuple[str, ...]
    energy: Float
    errors: Float
    shapes: tuple[ReferenceLine, ...]
    anchors: NDArray[np.bool_]
    beside: Float  # energies (m,) of lines that are there too but not fitted: no window reaches into them

    def emitted(self, grid: LineGrid) -> NDArray[np.complex128]:
        """Transforms (line, k) of the emitted shapes."""
        return np.stack([grid.emitted(line.shape, line.sigma) for line in self.shapes])

    def windows(self) -> Float:
        """Limits (line, 2) eV of the fits: never beyond half way to the next line."""
        everything = np.sort(
            np.concatenate([self.energy, self.beside, [-np.inf, np.inf]])
        )
        place = np.searchsorted(everything, self.energy)
        low = np.maximum(
            self.energy + WINDOW_EV[0], (self.energy + everything[place - 1]) / 2
        )
        high = np.minimum(
            self.energy + WINDOW_EV[1], (self.energy + everything[place + 1]) / 2
        )
        return np.stack([low, high], axis=1)


def identify(
    states: Sequence[Pixel],
    reference: ReferenceSet,
    config: CalibrationConfig,
    parked_energy: float,
) -> Lines:
    """Find the lines of a run and assign every pixel's peaks to them (set in the states).

    The anchors are the config's lines or those that most pixels agree on; the parked monochromator's elastic line
    is added where most pixels show it, and is never an anchor.
    """
    names = _present(states, reference, config, parked_energy)
    energy = np.array([reference.lines[name].energy for name in names])
    for state in states:
        state.assignment = peaks.assign(
            state.peaks, energy, np.ones(len(energy)), parked_energy
        )
    _assign_as_the_array(states, energy, parked_energy)
    lines = [(name, reference.lines[name], True) for name in names]
    elastic = _elastic(states, parked_energy)
    if elastic is not None and all(abs(elastic - e) > 10 for e in energy):
        line = ReferenceLine(
            energy=elastic,
            uncertainty=1.0,
            source="monochromator",
            shape=((0.0, 0.01, 1.0),),
        )
        lines.append((ELASTIC, line, False))
    lines.sort(key=lambda item: item[1].energy)
    return Lines(
        tuple(name for name, _, _ in lines),
        np.array([line.energy for _, line, _ in lines]),
        np.array([line.uncertainty if anchor else np.nan for _, line, anchor in lines]),
        tuple(line for _, line, _ in lines),
        np.array([anchor for _, _, anchor in lines], dtype=bool),
        _unfitted(names, reference),
    )


def _unfitted(names: tuple[str, ...], reference: ReferenceSet) -> Float:
    """Energies of the Lb lines beside the anchors that are no part of their La's shape."""
    partners = (
        reference.lines.get(name.removesuffix("_La") + "_Lb")
        for name in names
        if name.endswith("_La")
    )
    return np.array(
        [
            line.energy
            for line in partners
            if line is not None and line.satellite_of is None
        ]
    )


def _present(
    states: Sequence[Pixel],
    reference: ReferenceSet,
    config: CalibrationConfig,
    parked_energy: float,
) -> tuple[str, ...]:
    """Names of the anchors, ascending in energy."""
    ordered = sorted(reference.lines.items(), key=lambda item: item[1].energy)
    if config.lines is not None:
        return tuple(name for name, _ in ordered if name in config.lines)
    candidates = [
        name
        for name, line in ordered
        if line.satellite_of is None
        and not name.endswith("_Lb")  # never there without its stronger La
        and not abs(line.energy - parked_energy) < ELASTIC_REACH_EV
    ]
    energy = np.array([reference.lines[name].energy for name in candidates])
    able = [state for state in states if len(state.peaks.pulse_height) >= 3]
    able.sort(key=lambda state: -float(np.log1p(state.peaks.significance).sum()))
    voters = able[
        : min(VOTERS, (len(able) + 1) // 2)
    ]  # the better half: noise has no say
    weights = np.full(len(energy), MAY_BE)
    found = [
        peaks.assign(state.peaks, energy, weights, parked_energy) for state in voters
    ]
    told = [one for one in found if one is not None and one.score > 0]
    if not told or sum(one.runner_up for one in told) >= peaks.CLEAR * sum(
        one.score for one in told
    ):
        return ()  # the pixels, taken together, could be explained by other lines as well: the user has to name them
    votes = np.array([one.line_peaks >= 0 for one in told])
    return tuple(
        name
        for name, share in zip(candidates, votes.mean(axis=0), strict=True)
        if share > 0.5
    )


def _assign_as_the_array(states: Sequence[Pixel], energy: Float, parked: float) -> None:
    """Pixels whose assignment does not stand out, once more with the curvatures of those whose does.

    Gains of one array differ twofold, but they bend alike: another assignment often needs a bend that no pixel has.
    """
    assigned = [state.assignment for state in states if state.assignment is not None]
    bends = [one.b for one in assigned if one.is_unambiguous]
    if len(bends) < max(FEWEST, 0.5 * len(assigned)):
        return
    curvatures = np.geomspace(min(bends), max(bends), N_BENDS)
    for state in states:
        if state.assignment is not None and not state.assignment.is_unambiguous:
            weights = np.ones(len(energy))
            state.assignment = (
                peaks.assign(state.peaks, energy, weights, parked, curvatures)
                or state.assignment
            )


def _elastic(states: Sequence[Pixel], parked: float) -> float | None:
    """Where the array sees the elastic line of the parked monochromator, eV; None where most pixels do not."""
    clear = [
        (s.assignment, s.peaks)
        for s in states
        if s.assignment is not None and s.assignment.is_unambiguous
    ]
    seen = []
    for assignment, found in clear:
        energy = assignment.energies(found.pulse_height)
        near = np.abs(energy - parked) < ELASTIC_REACH_EV
        if near.any():
            seen.append(energy[near][np.argmax(found.significance[near])])
    return float(np.median(seen)) if seen and len(seen) > 0.5 * len(clear) else None
