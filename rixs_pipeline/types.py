"""Types that all layers share: arrays, edges, pixel status, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
IndexArray = NDArray[np.intp]
CountArray = NDArray[np.integer[Any]]  # of any width
BoolArray = NDArray[np.bool_]
Float32Array = NDArray[np.float32]

# readings that are spectra in their own right (`log_tey`); I0 and the clock are not
LOG_SPECTRA = ("tey", "tfy")

Result = TypeVar("Result")


class PulseColumns(NamedTuple):
    """Columns (record,) of pulse records, as views with the strides of their file.

    A named tuple, as compiled code takes it.

    Attributes
    ----------
    time_ns
        Time of the trigger, i8, ns since 1970.
    pretrigger_mean
        Baseline before the pulse, f4.
    residual
        Standard deviation of record - model (residualStdDev), f4.
    coefs
        Coefficients of the projectors, f4 (record, number of bases).
    """

    time_ns: IntArray
    pretrigger_mean: Float32Array
    residual: Float32Array
    coefs: Float32Array


# Energies of incident and emitted photons, eV: between them lie all edges that TES
# spectrometers are used for, from Al L to hard X rays. The same numbers in keV lie
# below for edges up to 30 keV.
PLAUSIBLE_ENERGIES = (30.0, 30e3)


class Edge(StrEnum):
    """Absorption edges, named by element and shell."""

    C_K = "C_K"
    N_K = "N_K"
    O_K = "O_K"
    F_K = "F_K"
    Ti_L = "Ti_L"
    V_L = "V_L"
    Cr_L = "Cr_L"
    Mn_L = "Mn_L"
    Fe_L = "Fe_L"
    Co_L = "Co_L"
    Ni_L = "Ni_L"
    Cu_L = "Cu_L"
    Zn_L = "Zn_L"

    @property
    def element(self) -> str:
        """Chemical symbol of the absorbing element."""
        return self.value.partition("_")[0]


class PixelState(StrEnum):
    """Whether a pixel is used, or the kind of reason why not."""

    OK = "ok"
    DEAD = "dead"
    NOISY = "noisy"
    NEGATIVE = "negative pulse heights"
    BADLY_RESOLVED = "badly resolved"
    MISASSIGNED = "misassigned"
    EXCLUDED = "excluded by the config"
    SILENT = "no pulses in this scan"
    NOT_SELECTED = "not among the best resolved pixels"
    DISPLACED = "displaced"
    UNLIKE = "unlike the other pixels"
    UNCALIBRATED = ""  # the detail says it all

    @property
    def is_live(self) -> bool:
        """Whether a pixel in this state has pulses and was to be used."""
        not_live = (PixelState.DEAD, PixelState.SILENT, PixelState.EXCLUDED)
        return self not in (*not_live, PixelState.NOT_SELECTED)


_STATES = {state.value: state for state in PixelState}


@dataclass(frozen=True)
class PixelStatus:
    """Status of a pixel: its state and, in words, the detail.

    Its text, ``state: detail``, is what products store.
    """

    state: PixelState
    detail: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the pixel is used."""
        return self.state is PixelState.OK

    @classmethod
    def parse(cls, text: str) -> PixelStatus:
        """Return the status that a product stores as `text`."""
        head, _, detail = text.partition(": ")
        if head in _STATES:
            return cls(_STATES[head], detail)
        return cls(PixelState.UNCALIBRATED, text)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.state.value, self.detail) if part)


@dataclass(frozen=True)
class Correction:
    """An automatic correction of numbers in a product.

    Attributes
    ----------
    name
        Of the correction, such as ``clock offset``; the same in all products.
    subject
        The run, pixel or spectrum that is corrected.
    value, error
        Size of the correction and one standard deviation, in `unit`.
    unit
        Of both.
    config
        The key that fixes the correction or turns it off.
    """

    name: str
    subject: str
    value: float
    error: float
    unit: str
    config: str

    def __str__(self) -> str:
        """Return a line such as ``scan0002: clock offset 1.02 +- 0.05 s``."""
        size = f"{self.value:.3g} +- {self.error:.2g} {self.unit}".rstrip()
        return f"{self.subject}: {self.name} {size} (`{self.config}`)"


def are_ok(statuses: Iterable[object]) -> BoolArray:
    """Return which pixels are ok, (pixel,), by the statuses stored in a product."""
    return np.array([PixelStatus.parse(str(text)).is_ok for text in statuses], bool)


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """The result of a piece of work, or the exception that it ended with.

    Failures of one run or file travel as outcomes, so that the others go on.
    """

    result: Result | None = None
    error: Exception | None = None

    @classmethod
    def of(cls, function: Callable[..., Result], *args: Any) -> Outcome[Result]:
        """Call a function and keep what it returns or raises."""
        try:
            return cls(function(*args))
        except Exception as error:
            return cls(error=error)

    def unwrap(self) -> Result:
        """Return the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return cast(Result, self.result)

    def then(self, function: Callable[[Result], Any]) -> Outcome[Any]:
        """Return the outcome of a function of the result; an error stays as it is."""
        if self.error is not None:
            return Outcome(error=self.error)
        return Outcome.of(function, self.result)
