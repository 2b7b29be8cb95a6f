import time
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
    run_number,
    sample_name,
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


@pytest.mark.parametrize(
    "text", ["1" * 60_000 + "x", " " * 60_000 + "x", "1." * 30_000]
)
def test_long_texts_are_no_numbers_and_take_no_time(text):
    start = time.process_time()
    assert np.isnan(number_or_nan(text))
    with pytest.raises(ValueError, match="is not a number"):
        parse_number(text, "x")
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text, "x")
    assert time.process_time() - start < 1


@pytest.mark.parametrize("value", [float("inf"), "1e999", 1e999, "-1e999"])
def test_infinite_numbers_are_missing(value):
    assert np.isnan(number_or_nan(value))


@pytest.mark.parametrize("value", [9.2e18, "0001-01-01T00:00:00Z", "9999-01-01T00:00Z"])
def test_times_whose_differences_do_not_fit_into_64_bits_are_refused(value):
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(value, "x")


@pytest.mark.parametrize("value", [-1, 10**9, "x", float("nan"), float("inf"), None])
def test_what_is_no_number_of_a_run(value):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        run_number(value, "scan_num")
    assert run_number("12", "scan_num") == run_number(12.0, "scan_num") == 12


def test_names_of_samples():
    assert sample_name(None) == sample_name(" ") == "unknown"
    assert sample_name(5) == "5"
    assert sample_name("a\nb\x1b[2J") == "a b\N{REPLACEMENT CHARACTER}[2J"
    with pytest.raises(ValueError, match="more than 150 bytes"):
        sample_name("é" * 76)
