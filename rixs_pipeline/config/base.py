"""The base class of all parts of the config, and the types that several parts share."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from rixs_pipeline.types import PLAUSIBLE_ENERGIES

# s; pulses of a TES last some ms, and no tail was longer than ten times as much
LONGEST_PULSE_TIME = 0.1


class Model(BaseModel):
    """Base of all parts of the config: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_ascending(limits: tuple[float, float]) -> tuple[float, float]:
    """Refuse [high, low]: it selects nothing."""
    low, high = limits
    if not low < high:
        raise ValueError(f"{list(limits)} must be [low, high] with low < high")
    return limits


def _check_ev(limits: tuple[float, float]) -> tuple[float, float]:
    """Refuse limits in keV: a photon of less than 30 eV is not detected."""
    lowest, highest = PLAUSIBLE_ENERGIES
    if max(map(abs, limits)) < lowest:
        raise ValueError(f"{list(limits)} looks like keV; give eV")
    if min(limits) > highest:
        raise ValueError(f"{list(limits)} looks like meV; give eV")
    return limits


def _check_pulse_time(seconds: Any) -> Any:
    """Refuse times in ms: records of pulses are some ms long."""
    if isinstance(seconds, float) and seconds > LONGEST_PULSE_TIME:
        raise ValueError(
            f"{seconds:g} s is longer than a pulse and its tail last, "
            f"{LONGEST_PULSE_TIME:g} s at most; give seconds, not ms"
        )
    return seconds


def _check_file_name(name: str) -> str:
    """Refuse names of which nothing remains in the name of a file."""
    if not any(map(str.isalnum, name)):
        raise ValueError(f"the name must have a letter or digit, not {name!r}")
    return name


def _wrap_single_value(value: Any) -> Any:
    """Return a list that holds a single mapping or text; other values unchanged."""
    return [value] if isinstance(value, str | dict) else value


Limits = Annotated[tuple[float, float], AfterValidator(_check_ascending)]
# of incident and emission energies, eV
EnergyLimits = Annotated[Limits, AfterValidator(_check_ev)]
RegionName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
# of what is written to a file of that name
FileName = Annotated[str, AfterValidator(_check_file_name)]
# s; measured where it is `auto`
PulseTime = Annotated[
    Annotated[float, Field(ge=0)] | Literal["auto"], AfterValidator(_check_pulse_time)
]
# of a field that holds a list: a single value may be given without brackets
SINGLE_VALUE_ALLOWED = BeforeValidator(_wrap_single_value)
