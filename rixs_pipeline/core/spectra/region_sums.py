"""Sums of a map over a region, along each axis that a spectrum can have; nothing is divided yet."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Axis = Literal["incident_energy", "emission_energy", "energy_loss"]


@dataclass(frozen=True)
class Tail:
    """The low-energy tail of the detector's response: its `fraction` of a line, standard deviation `fraction_error`,
    and decay `length` in eV."""

    fraction: float
    fraction_error: float
    length: float


@dataclass(frozen=True)
class MapData:
    """A map as plain arrays.

    `counts` i8 (point, bin), `exposure` s (point,), `emission_edges` eV (bin + 1,), uniform, `incident` eV (point,),
    `exposure_errors` s (point,): independent errors of the exposures (I0); `efficiency` (bin,): counts are divided
    by it; `tail`: of the detector's response, where it is known.
    """

    counts: NDArray[np.int64]
    exposure: Floats
    emission_edges: Floats
    incident: Floats
    exposure_errors: Floats | None = None
    efficiency: Floats | None = None
    tail: Tail | None = None

    @property
    def centres(self) -> Floats:
        """Middles of the emission bins (bin,), eV."""
        return np.asarray((self.emission_edges[1:] + self.emission_edges[:-1]) / 2)

    def shifted(self, shift: float) -> "MapData":
        """The map if the emission scale were higher by `shift` eV."""
        return replace(self, emission_edges=self.emission_edges + shift)

    def detected(self, share: Floats) -> Floats:
        """Weights (point, bin) of counts from shares of bins: over the efficiency."""
        return share if self.efficiency is None else np.asarray(share / self.efficiency)

    @property
    def relative_errors(self) -> Floats:
        """Relative errors of the exposures (point,)."""
        if self.exposure_errors is None:
            return np.zeros(len(self.incident))
        return np.divide(
            self.exposure_errors,
            self.exposure,
            out=np.zeros(len(self.incident)),
            where=self.exposure > 0,
        )


@dataclass(frozen=True)
class Sums:
    """Along `axis`, all f8 (n,): `number` = sum w n, its `variance` = sum w^2 n, the `largest` weight, `counts` = sum
    of photons by share, `exposure` s (NaN without), `divisor` = exposure, for emission spectra x bin width in eV, and
    `relative` error of the divisor (I0). `taken`: where the region takes anything.
    """

    axis: Axis
    energy: Floats
    number: Floats
    variance: Floats
    largest: Floats
    counts: Floats
    exposure: Floats
    divisor: Floats
    relative: Floats
    taken: NDArray[np.bool_]


def along_incident(data: MapData, share: Floats) -> Sums:
    """Sums over emission at every incident point; `share` (point, bin) of each bin in the region."""
    w = data.detected(share)
    exposure = np.where(data.exposure > 0, data.exposure, np.nan)
    return Sums(
        axis="incident_energy",
        energy=data.incident,
        number=(w * data.counts).sum(axis=1),
        variance=(w**2 * data.counts).sum(axis=1),
        largest=w.max(axis=1, initial=0.0),
        counts=(share * data.counts).sum(axis=1),
        exposure=exposure,
        divisor=exposure,
        relative=data.relative_errors,
        taken=np.asarray(share.any(axis=1)),
    )


def along_emission(data: MapData, share: Floats) -> Sums:
    """Sums over the incident points that have exposure in every emission bin, numerator and denominator alike."""
    index = np.broadcast_to(np.arange(share.shape[1]), share.shape)
    return _summed(data, "emission_energy", data.centres, [(index, share)])


def along_loss(data: MapData, share: Floats) -> Sums:
    """Sums in bins of incident - emission energy as wide as the emission bins; cut bins count by their share.

    A bin of a point falls on two bins of the loss, so that neighbours are correlated where several points add up.
    """
    step = float(np.diff(data.emission_edges).mean())
    place = (data.incident[:, None] - data.emission_edges[None, 1:]) / step
    first = int(np.floor(place.min()))
    index = np.floor(place).astype(np.int64)
    over = place - index
    energy = (np.arange(first, index.max() + 2) + 0.5) * step
    return _summed(
        data,
        "energy_loss",
        energy,
        [(index - first, share * (1 - over)), (index - first + 1, share * over)],
    )


def _summed(
    data: MapData,
    axis: Axis,
    energy: Floats,
    parts: list[tuple[NDArray[np.int64], Floats]],
) -> Sums:
    """Sums in the bins `index` (point, bin) by `share` (point, bin) of each part."""
    exposed: NDArray[np.bool_] = data.exposure > 0
    n, size = data.counts, len(energy)
    x, x_error = (
        np.where(exposed, v, 0.0)[:, None]
        for v in (data.exposure, data.relative_errors * data.exposure)
    )
    total = {
        name: np.zeros(size)
        for name in ("number", "variance", "counts", "exposure", "largest")
    }
    errors = (
        np.zeros((len(data.incident), size))
        if data.exposure_errors is not None
        else None
    )
    taken: NDArray[np.bool_] = np.zeros(size, bool)
    for index, share in parts:
        taken |= np.bincount(index.ravel(), share.ravel(), size) > 0
        share = share * exposed[:, None]
        w = data.detected(share)
        values = {
            "number": w * n,
            "variance": w**2 * n,
            "counts": share * n,
            "exposure": share * x,
        }
        for name, value in values.items():
            total[name] += np.bincount(index.ravel(), value.ravel(), size)
        np.maximum.at(total["largest"], index, w)
        if errors is not None:
            np.add.at(errors, (np.arange(len(n))[:, None], index), share * x_error)
    seconds = np.where(total["exposure"] > 0, total["exposure"], np.nan)
    common = (
        np.zeros(size)
        if errors is None
        else np.nan_to_num(np.sqrt((errors**2).sum(axis=0)) / seconds)
    )
    step = float(np.diff(data.emission_edges).mean())
    total["exposure"] = seconds
    return Sums(
        axis=axis,
        energy=energy,
        divisor=seconds * step,
        relative=common,
        taken=taken,
        **total,
    )
