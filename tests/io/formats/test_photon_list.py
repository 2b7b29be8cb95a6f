import numpy as np
import pytest

from rixs_pipeline.errors import InputError
from rixs_pipeline.io.formats import photon_list as photon_lists
from rixs_pipeline.io.formats.values import TimeForm
from tests.io.writers import T0


def write(path, **changes):
    arrays = {
        "timestamps": T0 + np.arange(5),
        "energies": np.arange(5) + 500.5,
        "channels": np.array([1, 3, 1, 3, 5]),
    }
    np.savez(path, **(arrays | changes))
    return path


def test_photon_list_round_trip_keeps_dtypes(tmp_path):
    path = write(
        tmp_path / "a_SCAN1.npz", channels=np.array([1, 3, 1, 3, 5], np.uint16)
    )
    assert photon_lists.is_photon_list(path)
    photons = photon_lists.read(path)
    assert len(photons) == 5
    assert (photons.time_ns.dtype, photons.energy.dtype, photons.pixel.dtype) == (
        np.int64,
        np.float64,
        np.int32,
    )
    np.testing.assert_array_equal(photons.energy, np.arange(5) + 500.5)


def test_unsorted_photons_are_sorted(tmp_path):
    photons = photon_lists.read(
        write(tmp_path / "a_SCAN1.npz", timestamps=T0 + np.array([4, 0, 1, 1, 3]))
    )
    np.testing.assert_array_equal(photons.time_ns, T0 + np.array([0, 1, 1, 3, 4]))
    np.testing.assert_array_equal(photons.energy, [501.5, 502.5, 503.5, 504.5, 500.5])


def test_counts_of_each_pixel_in_a_window(tmp_path):
    photons = photon_lists.read(write(tmp_path / "a_SCAN1.npz"))
    assert photons.pixel_counts(T0, T0 + 4) == {1: 2, 3: 2, 5: 0}
    assert photons.pixel_counts(T0 + 4, T0 + 5) == {1: 0, 3: 0, 5: 1}


def test_pickled_arrays_are_refused(tmp_path):
    path = write(tmp_path / "a_SCAN1.npz", energies=np.array([print] * 5, dtype=object))
    assert photon_lists.is_photon_list(path)
    with pytest.raises(InputError, match=r"a_SCAN1\.npz: not a photon list"):
        photon_lists.read(path)


def test_arrays_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(InputError, match="different lengths"):
        photon_lists.read(write(tmp_path / "a_SCAN1.npz", energies=np.zeros(3)))


def test_other_archives_and_other_files_are_not_photon_lists(tmp_path):
    np.savez(tmp_path / "a.npz", spectrum=np.zeros(3))
    (tmp_path / "b.npz").write_bytes(b"PK not really")
    for name in ("a.npz", "b.npz"):
        assert not photon_lists.is_photon_list(tmp_path / name)
    with pytest.raises(InputError, match=r"a\.npz"):
        photon_lists.read(tmp_path / "a.npz")


def test_repeated_photons_are_left_out_and_counted(tmp_path):
    sound = photon_lists.read(write(tmp_path / "a_SCAN1.npz"))
    again = [0, 1, 2, 3, 1, 2, 4, 2]
    arrays = {
        "timestamps": T0 + np.arange(5)[again],
        "energies": np.arange(5)[again] + 500.5,
        "channels": np.array([1, 3, 1, 3, 5])[again],
    }
    photons = photon_lists.read(write(tmp_path / "b_SCAN1.npz", **arrays))
    assert photons.n_repeated == 3
    for name in ("time_ns", "energy", "pixel"):
        np.testing.assert_array_equal(getattr(photons, name), getattr(sound, name))


def test_photons_of_several_pixels_at_one_time_are_all_kept(tmp_path):
    times = np.full(5, T0)
    photons = photon_lists.read(write(tmp_path / "a_SCAN1.npz", timestamps=times))
    assert (len(photons), photons.n_repeated) == (5, 0)


@pytest.mark.parametrize(
    ("ns_per_unit", "form"),
    [
        (1, TimeForm.NANOSECONDS),
        (1e3, TimeForm.MICROSECONDS),
        (1e6, TimeForm.MILLISECONDS),
        (1e9, TimeForm.SECONDS),
    ],
)
def test_times_in_other_units(tmp_path, ns_per_unit, form):
    times = (T0 + np.arange(5) * 10**9) / ns_per_unit
    photons = photon_lists.read(write(tmp_path / "a_SCAN1.npz", timestamps=times))
    assert photons.form is form
    assert np.abs(photons.time_ns - T0 - np.arange(5) * 10**9).max() < 1000


def test_energies_in_kev_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"around 0\.502 eV look like keV"):
        photon_lists.read(
            write(tmp_path / "a_SCAN1.npz", energies=np.linspace(0.4, 0.604, 5))
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timestamps", np.nan),
        ("timestamps", np.inf),
        ("timestamps", -1.0),
        ("channels", 2**40),
        ("channels", -1),
    ],
)
def test_times_and_pixels_out_of_range_are_refused(tmp_path, name, value):
    arrays = {
        "timestamps": np.full(3, float(T0)),
        "energies": np.full(3, 500.0),
        "channels": np.arange(3),
    }
    arrays[name][1] = value
    np.savez(tmp_path / "a_SCAN1.npz", **arrays)
    with pytest.raises(InputError, match=rf"not a photon list \(`{name}` has values"):
        photon_lists.read(tmp_path / "a_SCAN1.npz")
