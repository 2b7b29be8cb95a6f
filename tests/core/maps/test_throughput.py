import numpy as np

from rixs_pipeline.core.maps.throughput import complete_throughput


def test_an_unknown_pixel_gets_its_rate_on_the_scale_of_the_others():
    """Rates of 1, 2 and 3 photons/s: the known ones have the throughputs 0.5 and 1."""
    completed = complete_throughput(
        throughput=np.array([0.5, 1.0, 1.0]),
        is_known=np.array([True, True, False]),
        photons=np.array([10, 20, 30]),
        live_time=np.full(3, 10.0),
    )
    np.testing.assert_allclose(completed, [0.5, 1.0, 1.5])


def test_without_photons_of_the_known_pixels_an_unknown_one_keeps_its_value():
    completed = complete_throughput(
        throughput=np.array([0.5, 1.0]),
        is_known=np.array([True, False]),
        photons=np.array([0, 30]),
        live_time=np.array([0.0, 10.0]),
    )
    np.testing.assert_array_equal(completed, [0.5, 1.0])
