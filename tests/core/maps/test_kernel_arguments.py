import numpy as np
import pytest

from rixs_pipeline.core.maps.kernel_arguments import NO_PHOTON_LIST, PointBatch

BATCH = PointBatch(
    first=np.array([0, 10, 20, 30]),
    stop=np.array([8, 19, 25, 30]),
    row=np.array([3, 1, 0, 2]),
    later_share=np.array([0.0, 0.25, 0.5, 1.0]),
)


@pytest.mark.parametrize("points", [slice(0, 2), slice(1, 4), slice(2, 2), slice(9)])
def test_a_selection_keeps_the_columns_together(points):
    selected = BATCH.select(points)
    assert isinstance(selected, PointBatch)
    for column, all_values in zip(selected, BATCH, strict=True):
        np.testing.assert_array_equal(column, all_values[points])


def test_a_selection_is_a_view_in_the_types_of_the_kernel():
    selected = BATCH.select(slice(1, 3))
    for column, all_values in zip(selected, BATCH, strict=True):
        assert column.dtype == all_values.dtype
        assert np.shares_memory(column, all_values)


def test_selections_cover_the_batch_once():
    parts = [BATCH.select(slice(0, 3)), BATCH.select(slice(3, None))]
    for name in PointBatch._fields:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(BATCH, name))


def test_no_photon_list_is_empty_in_the_type_of_the_energies():
    assert len(NO_PHOTON_LIST) == 0
    assert NO_PHOTON_LIST.dtype == np.float32
