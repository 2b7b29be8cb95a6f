"""Numbers and times as logs write them: numbers, numbers as text, ISO 8601 text."""

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any, NamedTuple

from rixs_pipeline.files.opening import one_line
from rixs_pipeline.io.runs import MAX_RUN_NUMBER

# no two parts can match the same digits: the time is linear in the length
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_LONGEST_NUMBER = 100  # characters, also of a time; a float64 has at most 25
_MISSING_TEXTS = {"", "nan", "none", "null", "inf", "+inf", "-inf"}
_ISO_TIME = re.compile(
    r"\s*(?P<day>\d{4}-?\d\d-?\d\d)[T ](?P<clock>\d\d:?\d\d(:?\d\d)?)"
    r"([.,](?P<fraction>\d+))?\s*(?P<zone>[Zz]|UTC|[+-]\d\d(:?\d\d)?)?\s*"
)
_DIGITS_OF_NS = 9
# Seconds from 1973 to 2100, which as float64 have at most eight decimals.
_EARLIEST, _LATEST = 1e8, 4.1e9
_SHOWN_CHARACTERS = 40
_LATEST_NS = 1 << 62  # in 2116
_LONGEST_NAME = 150  # bytes, of a sample; names of files have up to 255


class TimeForm(StrEnum):
    """How a log writes its times."""

    SECONDS = "seconds since 1970"
    MILLISECONDS = "milliseconds since 1970"
    MICROSECONDS = "microseconds since 1970"
    NANOSECONDS = "nanoseconds since 1970"
    TEXT = "text with a time zone"
    TEXT_WITHOUT_ZONE = "text without a time zone"

    @property
    def is_guessed(self) -> bool:
        """Whether the form follows from the size of the numbers, or is assumed."""
        return self not in (TimeForm.SECONDS, TimeForm.TEXT)


NS_PER_UNIT = {
    TimeForm.SECONDS: 10**9,
    TimeForm.MILLISECONDS: 10**6,
    TimeForm.MICROSECONDS: 10**3,
    TimeForm.NANOSECONDS: 1,
}
# Below which number a time has this unit. The ranges do not overlap for times from 1973
# (1e8 s) to 5138 (1e11 s): in ms these are 1e11 to 1e14, and so on.
_LIMITS: dict[float, TimeForm] = {
    1e11: TimeForm.SECONDS,
    1e14: TimeForm.MILLISECONDS,
    1e17: TimeForm.MICROSECONDS,
    1e20: TimeForm.NANOSECONDS,
}


class LogTime(NamedTuple):
    """A time, ns since 1970, and how it is written."""

    ns: int
    form: TimeForm


def number_or_nan(value: object) -> float:
    """Return a number, also one in text, as a float; NaN for null, text, a list, ...

    Infinities are NaN too.
    """
    if isinstance(value, str):
        number = float(value) if _is_number(value) else float("nan")
    else:
        number = float(value) if isinstance(value, int | float) else float("nan")
    return number if isfinite(number) else float("nan")


def parse_number(value: object, key: str) -> float:
    """Return a number, also one in text, as a float.

    Parameters
    ----------
    value
        As the log holds it.
    key
        Of the log, for the message.

    Returns
    -------
    float
        NaN where the value is missing: null, empty text, nan or infinite.

    Raises
    ------
    ValueError
        Neither a number nor missing.
    """
    number = number_or_nan(value)
    if isfinite(number) or _is_missing(value):
        return number
    raise ValueError(f"`{key}`: {_shown(value)} is not a number")


def parse_time(value: object, key: str) -> LogTime | None:
    """Return a time: a number whose size gives its unit, or ISO 8601 text.

    Text without a time zone is taken as UTC.

    Parameters
    ----------
    value
        As the log holds it.
    key
        Of the log, for the message.

    Returns
    -------
    LogTime or None
        None where the value is missing: null, empty text, nan or infinite.

    Raises
    ------
    ValueError
        Neither a time nor missing.
    """
    if type(value) is float and _EARLIEST <= value < _LATEST:  # nearly all are such
        whole, _, decimals = repr(value).partition(".")
        ns = int(whole) * 10**9 + int(decimals.ljust(_DIGITS_OF_NS, "0"))
        return LogTime(ns, TimeForm.SECONDS)
    if _is_missing(value):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _time_of_number(Decimal(repr(value)), key)
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        if _is_number(value):
            return _time_of_number(Decimal(value.strip()), key)
        if match := _ISO_TIME.fullmatch(value):
            return _time_of_text(match, key)
    raise ValueError(f"`{key}`: {_shown(value)} is not a time")


def nanoseconds(seconds: float) -> int:
    """Return a time of a log, in seconds, as integer nanoseconds.

    Uses the decimal digits: seconds x 1e9 in float64 is a multiple of 256 ns, which
    would shift a time that was written to the microsecond.
    """
    return round(Decimal(repr(float(seconds))) * 1_000_000_000)


def form_of_number(number: float | Decimal) -> TimeForm | None:
    """Return the unit of a time by its size; None: too large for a time."""
    forms = [form for limit, form in _LIMITS.items() if abs(float(number)) < limit]
    return forms[0] if forms else None


def _time_of_number(number: Decimal, key: str) -> LogTime:
    """Return a time of a unit that follows from its size."""
    form = form_of_number(number)
    if form is None:
        raise ValueError(f"`{key}`: {number} is not a time")
    return LogTime(_plausible_ns(round(number * NS_PER_UNIT[form]), key), form)


def _time_of_text(match: re.Match[str], key: str) -> LogTime:
    """Return a time of ISO 8601 text; datetime would drop digits below 1 us."""
    zone = match["zone"]
    iso_zone = zone if zone and zone[0] in "+-" else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{match['day']}T{match['clock']}{iso_zone}")
    except ValueError as error:
        text = _shown(match[0])
        raise ValueError(f"`{key}`: {text} is not a time ({error})") from error
    fraction = (match["fraction"] or "")[:_DIGITS_OF_NS].ljust(_DIGITS_OF_NS, "0")
    form = TimeForm.TEXT if zone else TimeForm.TEXT_WITHOUT_ZONE
    ns = round(moment.timestamp()) * 10**9 + int(fraction)
    return LogTime(_plausible_ns(ns, key), form)


def _plausible_ns(ns: int, key: str) -> int:
    """Return a time in ns; times of all logs have differences that fit into 64 bits."""
    if abs(ns) > _LATEST_NS:
        raise ValueError(f"`{key}`: {ns / 1e9:g} s since 1970 is not a time")
    return ns


def _is_number(text: str) -> bool:
    """Return whether a text is a number."""
    return len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) is not None


def sample_name(value: object) -> str:
    """Return the name of a sample on one line; without one, `unknown`.

    Raises
    ------
    ValueError
        Too long for the name of a file: a cut one might be that of another sample.
    """
    text = "" if value is None else str(value).strip()
    if len(text.encode(errors="replace")) > _LONGEST_NAME:
        raise ValueError(f"the name of the sample has more than {_LONGEST_NAME} bytes")
    name = one_line(text)
    return name or "unknown"


def run_number(value: Any, key: str) -> int:
    """Return the number of a run, also one in text.

    Parameters
    ----------
    value
        As the log holds it.
    key
        Of the log, for the message.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        Not a whole number, negative, or larger than any run has.
    """
    number = int(value)
    if not 0 <= number < MAX_RUN_NUMBER:
        raise ValueError(f"`{key}`: {_shown(value)} is not the number of a run")
    return number


def _is_missing(value: object) -> bool:
    """Return whether a value says that there is none."""
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, str):
        return value.strip().lower() in _MISSING_TEXTS
    return value is None


def _shown(value: object) -> str:
    """Return the beginning of a value, for a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
