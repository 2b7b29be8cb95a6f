from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.io.formats.values import (
    TimeForm,
    nanoseconds,
    number_or_nan,
    parse_number,
    parse_time,
)

T = 1_767_255_080_125_541_000  # ns


@given(st.integers(10**15, 2 * 10**15))
def test_microseconds_of_a_log_survive(microseconds):
    """Sixteen digits fit in a float64: microseconds come back exactly."""
    assert nanoseconds(microseconds / 1e6) == microseconds * 1000


@pytest.mark.parametrize("value", [None, "x", [1.0], float("nan"), "1_000", "770 eV"])
def test_invalid_numbers_are_nan(value):
    assert np.isnan(number_or_nan(value))


@pytest.mark.parametrize("value", ["780.5", " 780.50 ", "7.805e2", "+780.5", 780.5])
def test_numbers_as_text(value):
    assert number_or_nan(value) == parse_number(value, "key") == 780.5


@pytest.mark.parametrize("value", [None, "", " ", "nan", "NULL", float("nan"), "inf"])
def test_missing_values(value):
    assert parse_time(value, "key") is None
    assert not np.isfinite(parse_number(value, "key"))


@pytest.mark.parametrize("value", ["abc", "780,5", "770 eV", [1.0], {}, "0x10"])
def test_other_values_are_refused_with_their_key(value):
    with pytest.raises(ValueError, match=r"`var_values`: .* is not a number"):
        parse_number(value, "var_values")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (1767255080.125541, TimeForm.SECONDS),
        ("1767255080.125541", TimeForm.SECONDS),
        (1767255080125.541, TimeForm.MILLISECONDS),
        ("1767255080125.541", TimeForm.MILLISECONDS),
        (1767255080125541, TimeForm.MICROSECONDS),
        (1767255080125541000, TimeForm.NANOSECONDS),
        ("1767255080125541000", TimeForm.NANOSECONDS),
        ("2026-01-01T08:11:20.125541Z", TimeForm.TEXT),
        ("2026-01-01T08:11:20.125541000Z", TimeForm.TEXT),
        ("2026-01-01 09:11:20.125541+01:00", TimeForm.TEXT),
        ("20260101T001120,125541-0800", TimeForm.TEXT),
        ("2026-01-01T08:11:20.125541", TimeForm.TEXT_WITHOUT_ZONE),
    ],
)
def test_forms_of_a_time(value, form):
    time = parse_time(value, "key")
    assert (time.ns, time.form) == (T, form)


@given(
    st.datetimes(datetime(1973, 4, 1), datetime(2100, 1, 1)),
    st.integers(-14 * 4, 14 * 4),
)
def test_iso_text_of_any_zone(moment, quarters):
    zone = timezone(timedelta(minutes=15 * quarters))
    aware = moment.replace(tzinfo=UTC)
    microseconds = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    assert parse_time(aware.astimezone(zone).isoformat(), "key").ns == (
        microseconds * 1000
    )


@pytest.mark.parametrize(
    "value",
    ["02/19/2020 14:43:45", "2026-13-01T00:00:00", "2026-01-01", True, [1.0], 1e30],
)
def test_other_times_are_refused_with_their_key(value):
    with pytest.raises(ValueError, match=r"`epoch_time_end_s`: .*is not a time"):
        parse_time(value, "epoch_time_end_s")
