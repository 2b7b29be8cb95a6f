"""What the counts are divided by: the incident flux and its monitors."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rixs_pipeline.config.base import Model, PulseTime
from rixs_pipeline.types import PLAUSIBLE_ENERGIES


class ScaleStep(Model):
    """A factor of a reading from a point of a scan on."""

    from_point: int = Field(
        0, ge=0, description="first point of the factor, counted from 0"
    )
    factor: float = Field(gt=0, description="readings are multiplied by it")


def _wrap_factor(value: Any) -> Any:
    """Return a list of steps where one, or a plain factor, is given."""
    if isinstance(value, int | float):
        return [{"factor": value}]
    return [value] if isinstance(value, dict | ScaleStep) else value


def _check_order(steps: tuple[ScaleStep, ...]) -> tuple[ScaleStep, ...]:
    """Require ascending first points: each factor holds until the next one."""
    first_points = [step.from_point for step in steps]
    if any(low >= high for low, high in pairwise(first_points)):
        raise ValueError("`from_point` must increase from one factor to the next")
    return steps


ScanScale = Annotated[
    tuple[ScaleStep, ...],
    BeforeValidator(
        _wrap_factor, json_schema_input_type=float | ScaleStep | list[ScaleStep]
    ),
    AfterValidator(_check_order),
]


class NormaliseConfig(Model):
    """What counts are divided by."""

    i0: str | None = Field(
        "i0",
        description="channel of the log with the incident flux (I0); null: "
        "normalise by live time only",
    )
    i0_kind: Literal["rate", "counts"] = Field(
        "rate",
        description="rate: the channel is proportional to the flux; counts: it counts "
        "during the dwell of a point, and is divided by the dwell",
    )
    i0_sign: Literal[-1, 1] = Field(
        1, description="-1: the channel is negative with beam, as a drain current is"
    )
    i0_scale: dict[int | str, ScanScale] = Field(
        {},
        description="scan -> factor that its I0 is multiplied by, where the range or "
        "unit of the channel changed; within a scan {from_point, factor}, or a list",
    )
    i0_offset: float = Field(
        0.0, description="reading of the I0 channel without beam; subtracted from I0"
    )
    i0_offset_per_second: float = Field(
        0.0,
        description="what the I0 channel counts without beam per second of dwell; "
        "subtracted from I0",
    )
    second_monitor: str | None = Field(
        None,
        description="channel of a second monitor of the flux, free of structure of its "
        "own; intensities per I0 are divided by its ratio to I0",
    )
    second_monitor_offset: float = Field(
        0.0, description="reading of the second monitor without beam; subtracted"
    )
    blank: int | str | tuple[int | str, ...] = Field(
        (),
        description="scan of a blank (gold, clean diode), or one for each range; "
        "intensities per I0 are divided by its reading per I0",
    )
    blank_channel: str = Field("tey", description="reading of the blank")
    beam_off_below: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="a point counts as having no beam if its I0 is below this "
        "fraction of the 90th percentile of I0 in the scan",
    )
    throughput: bool = Field(
        True,
        description="weight pixels by their throughput, so that intensities do "
        "not change if a pixel is missing in some scans",
    )
    pile_up: PulseTime = Field(
        "auto",
        description="time after a photon in which a second one spoils its pulse, s; "
        "auto: measured in each scan; 0: no correction for pile-up",
    )
    i0_noise: Annotated[float, Field(ge=0, lt=1)] | Literal["poisson"] | None = Field(
        None,
        description="relative standard deviation of I0 at a point; poisson: the "
        "channel is a count with Poisson statistics",
    )
    efficiency: tuple[tuple[float, float], ...] = Field(
        (),
        description="list of [emission energy in eV, efficiency of detector and "
        "windows] pairs, interpolated linearly; counts are divided by the "
        "efficiency",
    )

    @model_validator(mode="after")
    def _check_efficiency(self) -> Self:
        """Require ascending energies and positive efficiencies, which are divisors."""
        energies = [energy for energy, _ in self.efficiency]
        is_ascending = all(low < high for low, high in pairwise(energies))
        is_positive = all(efficiency > 0 for _, efficiency in self.efficiency)
        if not (is_ascending and is_positive):
            raise ValueError(
                "efficiency: in the list of [energy, efficiency] pairs, "
                "energies must increase and every efficiency must be greater than 0"
            )
        if energies and energies[-1] < PLAUSIBLE_ENERGIES[0]:
            raise ValueError(
                f"efficiency: energies up to {energies[-1]:g} look like keV; give eV"
            )
        return self

    @property
    def pile_up_time(self) -> float | None:
        """The pile-up time, s; None: to be measured."""
        return None if self.pile_up == "auto" else self.pile_up

    @property
    def blanks(self) -> tuple[int | str, ...]:
        """The scans of blanks, by number or name."""
        return self.blank if isinstance(self.blank, tuple) else (self.blank,)

    def scale_of(self, name: str, number: int) -> Mapping[int, float]:
        """Return the factors of a scan's I0.

        Parameters
        ----------
        name
            Name of the scan.
        number
            Its number.

        Returns
        -------
        mapping of int to float
            First point -> factor from there on, ascending; empty: 1 everywhere.
        """
        return find_scale(self.i0_scale, name, number)


def find_scale(
    scales: Mapping[int | str, ScanScale], name: str, number: int
) -> Mapping[int, float]:
    """Return the factors of a scan's reading.

    Parameters
    ----------
    scales
        By number or name of the scan.
    name, number
        Of the scan.

    Returns
    -------
    mapping of int to float
        First point -> factor from there on, ascending; empty: 1 everywhere.
    """
    for key in (name, number, str(number)):
        if key in scales:
            return {step.from_point: step.factor for step in scales[key]}
    return {}
