"""Synthetic datasets as in `schema`, with Poisson counts and the usual defects."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline import schema

EMISSION_EDGES = np.arange(200.0, 1100.1, 0.5)
LINES = {
    "C_Ka": 277.0,
    "N_Ka": 392.4,
    "O_Ka": 524.9,
    "Fe_La": 704.8,
    "Ni_La": 851.47,
    "Cu_La": 929.68,
    "elastic": 1000.0,
}
UNCERTAINTY = (2.0, 0.7, 0.7, 1.2, 0.26, 0.31, np.nan)
BAD = {
    2: "dead: no pulses",
    3: "dead: no pulses",
    10: "noisy: 12 of 900 pulses pass the cuts",
    11: "noisy: 17 of 800 pulses pass the cuts",
    5: "misassigned: a line misses its reference by 22.3 eV",
}


def peak(x: np.ndarray, centre: np.ndarray | float, fwhm: float) -> np.ndarray:
    return np.exp(-4 * np.log(2) * ((x - centre) / fwhm) ** 2)


def number_boxes(axes):
    """Where the numbers along a vertical axis are, apart from empty ones."""
    low, high = axes.get_ylim()
    ticks = axes.yaxis.get_major_ticks()
    visible = [tick for tick in ticks if low <= tick.get_loc() <= high]
    boxes = [tick.label1.get_window_extent() for tick in visible]
    return [box for box in boxes if box.width]


@pytest.fixture(scope="session")
def inside() -> Callable[..., None]:
    """Check that all artists are in the figure, and that no label covers a number."""

    def check(figure) -> None:
        figure.canvas.draw()
        width, height = figure.get_size_inches()
        box = figure.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
        numbers = [number for axes in figure.axes for number in number_boxes(axes)]
        for axes in figure.axes:
            label = axes.yaxis.label.get_window_extent()
            if label.width:
                assert not any(map(label.overlaps, numbers)), axes.get_ylabel()

    return check


@pytest.fixture(scope="session")
def make_map() -> Callable[..., xr.Dataset]:
    """Make a Co L map, dense at the white lines; masked points have no exposure."""

    def make(
        masked: tuple[int, ...] = (20, 21, 22), rate: float = 1.0, points: int = 70
    ) -> xr.Dataset:
        generator = np.random.default_rng(7)
        steps = np.where((np.arange(points) // 12) % 2 == 1, 0.2, 0.9)
        incident = 768.0 + np.cumsum(steps)
        emission = (EMISSION_EDGES[1:] + EMISSION_EDGES[:-1]) / 2
        resonance = peak(incident, 780.5, 3.0) + 0.5 * peak(incident, 794.5, 3.0)
        density = (
            0.02 * peak(emission, 277.0, 8.0) + 0.3 * peak(emission, 524.9, 5.0) + 1e-6
        )
        density = density + resonance[:, None] * peak(emission, 776.3, 4.0)
        density = density + 0.1 * peak(emission, incident[:, None], 1.5)
        exposure = np.full(points, 300.0)
        exposure[[m for m in masked if m < points]] = 0.0
        counts = generator.poisson(rate * density * exposure[:, None] * 0.5)
        divisor = np.where(exposure > 0, exposure, np.nan)[:, None] * 0.5
        dims = ("incident_energy", "emission_energy")
        values = {
            "incident_energy": (dims[:1], incident),
            "emission_energy": (dims[1:], emission),
            "emission_energy_edges": (("emission_energy_edge",), EMISSION_EDGES),
            "counts": (dims, counts),
            "exposure": (dims[:1], exposure),
            "live_time": (dims[:1], exposure),
            "intensity": (dims, counts / divisor),
            "intensity_errors": (dims, np.sqrt(counts) / divisor),
        }
        dataset = schema.labelled(values, schema.RIXS_MAP)
        schema.check(dataset, schema.RIXS_MAP, "synthetic map")
        return dataset

    return make


@pytest.fixture(scope="session")
def make_spectrum() -> Callable[..., xr.Dataset]:
    """Make a spectrum with its 95 % interval; masked points have no exposure."""

    def make(
        energy: np.ndarray | None = None,
        dim: str = "incident_energy",
        height: float = 1.0,
        masked: tuple[int, ...] = (4,),
        region: str | None = None,
    ) -> xr.Dataset:
        generator = np.random.default_rng(3)
        energy = np.linspace(770.0, 805.0, 70) if energy is None else energy
        shape = height * (
            0.2 + peak(energy, 780.5, 3.0) + 0.6 * peak(energy, 794.5, 4.0)
        )
        exposure = np.full(len(energy), 200.0)
        exposure[list(masked)] = 0.0
        counts = generator.poisson(shape * exposure).astype(float)
        divisor = np.where(exposure > 0, exposure, np.nan)
        columns = {
            "intensity": counts / divisor,
            "intensity_errors": np.sqrt(counts) / divisor,
            "intensity_lower": (counts - 2 * np.sqrt(counts)) / divisor,
            "intensity_upper": (counts + 2 * np.sqrt(counts) + 3) / divisor,
            "counts": counts,
            "exposure": exposure,
        }
        values = {dim: ((dim,), energy)} | {
            name: ((dim,), column) for name, column in columns.items()
        }
        dataset = schema.labelled(values, schema.spectrum(dim))
        schema.check(dataset, schema.spectrum(dim), "synthetic spectrum")
        dataset.attrs = {"region": region} if region else {}
        return dataset

    return make


def offsets(
    generator: np.random.Generator,
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Phase effects of 1 to 7 eV and a drift of 1 eV, corrected to their errors."""
    x, time = np.linspace(-11 / 12, 11 / 12, 12), np.linspace(50, 1150, 12)
    size = np.linspace(0.5, 3.5, len(LINES))[:, None]
    effects = {"phase_offset": size * x, "time_offset": (time - 600) / 1100}
    dims = {"phase_offset": ("fitted_line", "phase_bin"), "time_offset": ("time_bin",)}
    values = {
        "fitted_line": (("fitted_line",), np.array(list(LINES), dtype=object)),
        "phase_bin": (("phase_bin",), x),
        "time_bin": (("time_bin",), time),
        "pretrigger_offset": (("time_bin",), (600 - time) / 60),
        "pretrigger_offset_errors": (("time_bin",), np.full(12, 0.2)),
    }
    for name, effect in effects.items():
        noise = 0.1 * generator.standard_normal(effect.shape)
        values[name], values[f"{name}_uncorrected"] = (
            (dims[name], noise),
            (dims[name], effect + noise),
        )
        for kind in (name, f"{name}_uncorrected"):
            values[f"{kind}_errors"] = dims[name], np.full(effect.shape, 0.1)
    return values


@pytest.fixture(scope="session")
def make_calibration() -> Callable[..., xr.Dataset]:
    """Make a reference run of odd channels, some bad; gain curves a(1 - exp(-E/b))."""

    def make(pixels: int = 240, bad: dict[int, str] = BAD) -> xr.Dataset:
        generator = np.random.default_rng(11)
        energies = np.array(list(LINES.values()))
        emission = np.arange(100.0, 1100.0, 0.25) + 0.125
        density = sum(peak(emission, energy, 4.0) for energy in energies) + 1e-3
        throughput = generator.uniform(0.5, 1.5, (pixels, 1))
        spectrum = generator.poisson(throughput * 15 * density)
        common = np.array([0.5, -0.7, 0.3, 0.1, 0.0, 0.0, -0.4])
        errors = generator.uniform(0.05, 0.2, (pixels, len(energies)))
        residual = common + errors * generator.standard_normal(errors.shape)
        fwhm = 1.4 + 0.15 * generator.standard_normal(errors.shape)
        a, b = (
            generator.normal(3e4, 2e3, (pixels, 1)),
            generator.normal(2000, 80, (pixels, 1)),
        )
        curve = np.tile(np.linspace(120.0, 1150.0, 100), (pixels, 1))
        tables = [residual, errors, fwhm, a * (1 - np.exp(-(energies + residual) / b))]
        curves = [a * (1 - np.exp(-curve / b)), curve]
        status = np.array(["ok"] * pixels, dtype=object)
        for row, reason in bad.items():
            status[row] = reason
            if reason.startswith("dead"):
                spectrum[row] = 0
                for table in (*tables, *curves):
                    table[row] = np.nan
            elif reason.startswith("misassigned"):
                residual[row] += np.linspace(-20, 22, len(energies))
        pixel_line, pixel_curve = ("pixel", "line"), ("pixel", "curve_point")
        values = {
            "pixel": (("pixel",), np.arange(1, 2 * pixels, 2)),
            "status": (("pixel",), status),
            "line_name": (("line",), np.array(list(LINES), dtype=object)),
            "line_energy": (("line",), energies),
            "line_energy_errors": (("line",), np.array(UNCERTAINTY)),
            "line_residual": (pixel_line, residual),
            "line_residual_errors": (pixel_line, errors),
            "line_pulse_height": (pixel_line, tables[3]),
            "fwhm": (pixel_line, fwhm),
            "fwhm_errors": (pixel_line, 0.1 * fwhm),
            "line_width": (pixel_line, fwhm + 1.0),
            "line_width_errors": (pixel_line, 0.1 * fwhm),
            "resolution": (("pixel",), fwhm[:, -1]),
            "resolution_errors": (("pixel",), 0.05 * fwhm[:, -1]),
            "emission_energy": (("emission_energy",), emission),
            "spectrum": (("pixel", "emission_energy"), spectrum),
            "curve_pulse_height": (pixel_curve, curves[0]),
            "curve_energy": (pixel_curve, curves[1]),
        }
        dataset = schema.labelled(values | offsets(generator), schema.PIXEL_CALIBRATION)
        dataset.attrs = {
            "run": "cal0000",
            "sample": "reference_mix",
            "reference_set": "srd128",
        }
        return dataset

    return make
