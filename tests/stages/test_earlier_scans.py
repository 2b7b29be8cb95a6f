"""The scans of a long open interval that count."""

from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline.stages.earlier_scans import FIRST, LAST, ends_of


@given(st.integers(1, 300))
def test_ends_are_in_order_and_contain_the_scan_itself(number):
    chosen = ends_of(range(number))
    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) == min(number, FIRST + LAST)
    assert chosen[0] == 0
    assert chosen[-1] == number - 1
