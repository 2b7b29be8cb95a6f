"""Dimensions, dtypes and units of every product; `check` holds a dataset to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from rixs_pipeline.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = 1

READING = "reading_"  # begins the variables that hold readings of the log

# why a scan point is, or is not, part of the co-added map (`point_status`)
POINT_USED, POINT_NO_BEAM, POINT_EXCLUDED, POINT_NO_I0, POINT_I0_UNUSABLE = range(5)
POINT_REASONS = {
    POINT_NO_BEAM: "no beam or no pulses",
    POINT_EXCLUDED: "excluded",
    POINT_NO_I0: "no I0 reading",
    POINT_I0_UNUSABLE: "I0 unusable",
}


@dataclass(frozen=True)
class Variable:
    """One variable of a product."""

    dims: tuple[str, ...]
    kind: str  # of the numpy dtype: `f`, `i`, or `S` for any text
    units: str
    long_name: str
    required: bool = True


CUT_LIMITS = Variable(
    ("pixel", "cut_quantity", "limit"),
    "f",
    "",
    "limits of residual, pretrigger mean, arrival phase, s since the last pulse",
)

_MAP_DIMS = ("incident_energy", "emission_energy")
_POINT = ("incident_energy",)

RIXS_MAP = {
    "incident_energy": Variable(_POINT, "f", "eV", "incident energy"),
    "emission_energy": Variable(("emission_energy",), "f", "eV", "emission energy"),
    "emission_energy_edges": Variable(
        ("emission_energy_edge",), "f", "eV", "edges of the emission bins"
    ),
    "incident_energy_edges": Variable(
        ("incident_energy_edge",), "f", "eV", "edges of the incident bins", False
    ),
    "counts": Variable(_MAP_DIMS, "i", "counts", "photons"),
    "exposure": Variable(
        _POINT, "f", "s", "live time x throughput x I0 / I0_ref, summed over the pixels"
    ),
    "exposure_errors": Variable(
        _POINT,
        "f",
        "s",
        "one standard deviation of the exposure, from the noise of I0",
        False,
    ),
    "live_time": Variable(_POINT, "f", "s", "live time summed over the pixels"),
    "i0": Variable(_POINT, "f", "", "incident flux", False),
    "blank_errors": Variable(
        _POINT,
        "f",
        "",
        "relative standard deviation of I0 from the blank, common to all passes",
        False,
    ),
    "intensity": Variable(
        _MAP_DIMS, "f", "counts/(s eV)", "counts / exposure / bin width"
    ),
    "intensity_errors": Variable(
        _MAP_DIMS, "f", "counts/(s eV)", "one standard deviation of the intensity"
    ),
    "energy_scale_errors": Variable(
        ("emission_energy",),
        "f",
        "eV",
        "one standard deviation of the common energy scale, references apart",
        False,
    ),
    "scale_energy": Variable(
        ("scale_energy",), "f", "eV", "emission energy of scale_mode_errors", False
    ),
    "scale_mode": Variable(
        ("scale_mode",), "S", "", "independent error, shared by name", False
    ),
    "scale_mode_errors": Variable(
        ("scale_mode", "scale_energy"),
        "f",
        "eV",
        "independent errors of the energy scale, one standard deviation each",
        False,
    ),
    "misalignment": Variable(
        ("pixel",), "f", "", "relative, against the other pixels, as measured", False
    ),
}

# what the map of aligned scans has in addition
COADDED_MAP = RIXS_MAP | {
    "pixel": Variable(("pixel",), "i", "", "channel number", False),
    "pixel_counts": Variable(
        ("pixel",), "i", "counts", "photons of the pixel in the map", False
    ),
}

# what the map of a scan has in addition; readings of the log are further variables,
# `reading_<channel>` (incident_energy)
SCAN_MAP = RIXS_MAP | {
    "point_status": Variable(
        _POINT,
        "i",
        "",
        "0 used, 1 no beam or no pulses, 2 excluded by the config, 3 no I0 reading, "
        "4 I0 stuck, saturated, or of another range",
    ),
    "i0_range": Variable(
        _POINT,
        "f",
        "",
        "I0 over its main level, where its range changed within the scan",
        False,
    ),
    "drift_coefficients": Variable(
        ("drift_param",),
        "f",
        "",
        "mean drift coefficients that both calibrations have in this scan, per unit of "
        "pretrigger mean",
        False,
    ),
    "drift_change": Variable(
        ("drift_param",),
        "f",
        "",
        "added to the drift coefficients of the calibrations, per unit of pretrigger "
        "mean",
        False,
    ),
    "drift_change_errors": Variable(
        ("drift_param",), "f", "", "one standard deviation of the coefficients", False
    ),
    "sample_line": Variable(
        ("sample_line",), "S", "", "emission line of the sample", False
    ),
    "sample_line_position": Variable(
        ("sample_line",), "f", "eV", "position of the line in this scan", False
    ),
    "sample_line_position_errors": Variable(
        ("sample_line",),
        "f",
        "eV",
        "one standard deviation, counting statistics",
        False,
    ),
    "dwell": Variable(_POINT, "f", "s", "length of the point's time window"),
    "pixel": Variable(("pixel",), "i", "", "channel number"),
    "pixel_counts": Variable(
        ("pixel",), "i", "counts", "photons of the pixel in the map"
    ),
    "pixel_live_time": Variable(("pixel",), "f", "s", "live time of the pixel"),
    "pixel_away_time": Variable(
        ("pixel",), "f", "s", "time without exposure, baseline away", False
    ),
    "pixel_away_time_errors": Variable(
        ("pixel",), "f", "s", "one standard deviation: time of the jumps", False
    ),
    "throughput": Variable(
        ("pixel",), "f", "", "throughput relative to the mean pixel"
    ),
    "alignment": Variable(
        ("pixel",),
        "f",
        "",
        "energies were multiplied by 1 - alignment, to align the pixel with the others",
        False,
    ),
    "alignment_errors": Variable(
        ("pixel",), "f", "", "one standard deviation, counting statistics", False
    ),
    "displacement": Variable(
        ("pixel",),
        "f",
        "eV",
        "displacement against the other pixels, NaN: none, inf: another spectrum",
        False,
    ),
    "group_shift": Variable(
        ("pixel",),
        "f",
        "eV",
        "of the group of the pixel against another group, NaN: one group",
        False,
    ),
    "pixel_status": Variable(
        ("pixel",),
        "S",
        "",
        "ok, with the calibrations used, or why the pixel is left out",
    ),
    "cut": Variable(("cut",), "S", "", "name of the cut"),
    "cut_counts": Variable(
        ("pixel", "cut"), "i", "counts", "pulses that are left after the cut"
    ),
    "cut_limits": CUT_LIMITS,
}

_LINE = ("pixel", "line")
_PHASE, _TIME = ("fitted_line", "phase_bin"), ("time_bin",)

PIXEL_CALIBRATION = {
    "pixel": Variable(("pixel",), "i", "", "channel number"),
    "status": Variable(("pixel",), "S", "", "ok, or why the pixel is not used"),
    "line_name": Variable(("line",), "S", "", "reference line"),
    "line_energy": Variable(("line",), "f", "eV", "energy of the reference line"),
    "line_energy_errors": Variable(
        ("line",), "f", "eV", "uncertainty of the reference line"
    ),
    "line_variant": Variable(
        ("line",), "S", "", "chemical state of the reference line", False
    ),
    "line_pulse_height": Variable(_LINE, "f", "", "fitted pulse height of the line"),
    "line_residual": Variable(
        _LINE, "f", "eV", "energy of the line on the fitted scale - reference"
    ),
    "line_residual_errors": Variable(
        _LINE, "f", "eV", "one standard deviation, counting statistics"
    ),
    "line_left_out": Variable(
        _LINE, "f", "eV", "line on the curve through the other lines - reference"
    ),
    "line_counts": Variable(_LINE, "f", "counts", "counts in the fitted line"),
    "resolution": Variable(
        ("pixel",),
        "f",
        "eV",
        "Gaussian resolution of the pixel, full width at half maximum",
    ),
    "resolution_errors": Variable(("pixel",), "f", "eV", "one standard deviation"),
    "resolution_source": Variable(
        ("pixel",), "S", "", "the elastic line, or the reference lines"
    ),
    "fwhm": Variable(
        _LINE,
        "f",
        "eV",
        "Gaussian width beyond the tabulated line, full width at half maximum: the "
        "resolution where the table has the right shape",
    ),
    "fwhm_errors": Variable(
        _LINE, "f", "eV", "one standard deviation, counting statistics"
    ),
    "line_width": Variable(
        _LINE,
        "f",
        "eV",
        "full width at half maximum of the line in the detector: emission and "
        "resolution",
    ),
    "line_width_errors": Variable(
        _LINE, "f", "eV", "one standard deviation, counting statistics"
    ),
    "tail_fraction": Variable(
        _LINE, "f", "", "share of the line in the low-energy tail"
    ),
    "tail_length": Variable(_LINE, "f", "eV", "decay length of the low-energy tail"),
    "elastic_energy": Variable(
        ("pixel",),
        "f",
        "eV",
        "parked elastic line on the fitted scale: never a reference",
    ),
    "elastic_energy_errors": Variable(
        ("pixel",), "f", "eV", "one standard deviation, counting statistics"
    ),
    "elastic_fwhm": Variable(
        ("pixel",),
        "f",
        "eV",
        "Gaussian width of the elastic line, full width at half maximum",
    ),
    "elastic_fwhm_errors": Variable(
        ("pixel",), "f", "eV", "one standard deviation, counting statistics"
    ),
    "misfit_probability": Variable(
        ("pixel",),
        "f",
        "",
        "probability that lines of a sound pixel miss a smooth curve by so much",
        False,
    ),
    "height_bin_width": Variable(
        ("pixel",), "f", "", "bin width of the pulse-height spectrum, from 0 on", False
    ),
    "height_counts": Variable(
        ("pixel", "height_bin"), "i", "counts", "pulse-height spectrum", False
    ),
    "peak_pulse_height": Variable(
        ("pixel", "peak"), "f", "", "pulse height of a peak", False
    ),
    "peak_line": Variable(("pixel", "peak"), "S", "", "line of a peak", False),
    "params": Variable(("pixel", "param"), "f", "", "parameters of core.energy.energy"),
    "params_covariance": Variable(
        ("pixel", "param", "param_2"), "f", "", "covariance of the parameters"
    ),
    "drift_score": Variable(
        ("pixel", "drift_param"),
        "f",
        "",
        "slope of the log likelihood of the pulses in the drift coefficients",
        False,
    ),
    "drift_information": Variable(
        ("pixel", "drift_param", "drift_param_2"),
        "f",
        "",
        "curvature of the log likelihood of the pulses in the drift coefficients",
        False,
    ),
    "cut": Variable(("cut",), "S", "", "name of the cut"),
    "cut_counts": Variable(
        ("pixel", "cut"), "i", "counts", "pulses that are left after the cut"
    ),
    "cut_limits": CUT_LIMITS,
    "emission_energy": Variable(("emission_energy",), "f", "eV", "emission energy"),
    "spectrum": Variable(
        ("pixel", "emission_energy"), "i", "counts", "calibrated reference run"
    ),
    "fitted_line": Variable(
        ("fitted_line",), "S", "", "line of the run, the parked elastic line among them"
    ),
    "phase_bin": Variable(
        ("phase_bin",), "f", "", "arrival phase within a sample, -1 to 1"
    ),
    "phase_offset": Variable(
        _PHASE, "f", "eV", "line at this arrival phase - line, good pixels together"
    ),
    "phase_offset_errors": Variable(
        _PHASE, "f", "eV", "one standard deviation, counting statistics"
    ),
    "phase_offset_uncorrected": Variable(
        _PHASE, "f", "eV", "the same without the phase correction"
    ),
    "phase_offset_uncorrected_errors": Variable(
        _PHASE, "f", "eV", "one standard deviation, counting statistics"
    ),
    "time_bin": Variable(_TIME, "f", "s", "time since the start of the run"),
    "time_offset": Variable(
        _TIME, "f", "eV", "lines at this time - lines, good pixels together"
    ),
    "time_offset_errors": Variable(
        _TIME, "f", "eV", "one standard deviation, counting statistics"
    ),
    "time_offset_uncorrected": Variable(
        _TIME, "f", "eV", "the same without the drift correction"
    ),
    "time_offset_uncorrected_errors": Variable(
        _TIME, "f", "eV", "one standard deviation, counting statistics"
    ),
    "pretrigger_offset": Variable(
        _TIME, "f", "", "pretrigger mean - its mean in the run, good pixels together"
    ),
    "pretrigger_offset_errors": Variable(
        _TIME, "f", "", "one standard deviation of the mean"
    ),
    "curve_pulse_height": Variable(
        ("pixel", "curve_point"), "f", "", "pulse heights over the gain curve", False
    ),
    "curve_energy": Variable(
        ("pixel", "curve_point"), "f", "eV", "the gain curve", False
    ),
}

_SPECTRUM_VALUES = {
    "intensity": Variable((), "f", "counts/s", "intensity"),
    "intensity_errors": Variable(
        (), "f", "counts/s", "one standard deviation of the intensity"
    ),
    "intensity_lower": Variable(
        (), "f", "counts/s", "lower end of the 95 % interval", False
    ),
    "intensity_upper": Variable(
        (), "f", "counts/s", "upper end of the 95 % interval", False
    ),
    "counts": Variable(
        (), "f", "counts", "photons in the region, cut bins by their share"
    ),
    "exposure": Variable((), "f", "s", "exposure"),
    "intensity_i0_errors": Variable(
        (), "f", "counts/s", "the part of intensity_errors that comes from I0", False
    ),
    "intensity_energy_errors": Variable(
        (),
        "f",
        "counts/s",
        "change if the emission scale moves up by its standard deviation",
        False,
    ),
    "intensity_reference_errors": Variable(
        (),
        "f",
        "counts/s",
        "change if the reference lines move up by their standard deviation",
        False,
    ),
    "background": Variable(
        (), "f", "counts/s", "background that was subtracted", False
    ),
    "background_errors": Variable(
        (), "f", "counts/s", "one standard deviation of the background", False
    ),
    "background_modes": Variable(
        ("background_mode",),
        "f",
        "counts/s",
        "covariance of the background between points: modes x modes transposed",
        False,
    ),
    "absorption": Variable(
        (), "f", "", "absorption, freed from self-absorption, 1 after the edge", False
    ),
    "absorption_errors": Variable(
        (), "f", "", "one standard deviation of the absorption", False
    ),
}

_FEATURE = ("feature",)
_FEATURES = {
    "feature": Variable(_FEATURE, "S", "", "name of the feature", False),
    "feature_area": Variable(
        _FEATURE, "f", "eV counts/s", "integrated intensity", False
    ),
    "feature_area_errors": Variable(
        _FEATURE, "f", "eV counts/s", "one standard deviation of the area", False
    ),
    "feature_centre": Variable(_FEATURE, "f", "eV", "centre of mass", False),
    "feature_centre_errors": Variable(
        _FEATURE, "f", "eV", "one standard deviation of the centre", False
    ),
    "feature_centre_energy_errors": Variable(
        _FEATURE, "f", "eV", "what the energy scale adds to the centre", False
    ),
    "feature_fwhm": Variable(_FEATURE, "f", "eV", "full width at half maximum", False),
    "feature_fwhm_errors": Variable(
        _FEATURE, "f", "eV", "one standard deviation of the width", False
    ),
}


# the axis of the compared spectra takes the place of `AXIS`
AXIS = "axis"
_EVERY_SAMPLE, _OTHER_SAMPLES = ("sample", AXIS), ("compared", AXIS)
_COMPARISON = {
    "sample": Variable(("sample",), "S", "", "sample"),
    "compared": Variable(
        ("compared",), "S", "", "sample that is compared with the first one"
    ),
    "intensity": Variable(_EVERY_SAMPLE, "f", "counts/s", "intensity / common factor"),
    "intensity_errors": Variable(
        _EVERY_SAMPLE, "f", "counts/s", "one standard deviation of the intensity"
    ),
    "difference": Variable(
        _OTHER_SAMPLES,
        "f",
        "counts/s",
        "intensity / common factor - that of the first sample",
    ),
    "difference_errors": Variable(
        _OTHER_SAMPLES, "f", "counts/s", "one standard deviation of the difference"
    ),
    "difference_energy_errors": Variable(
        _OTHER_SAMPLES,
        "f",
        "counts/s",
        "change if the emission scales stand apart by scales_apart",
        False,
    ),
    "scales_apart": Variable(
        ("compared",),
        "f",
        "eV",
        "standard deviation of the difference of the emission scales, NaN: not known",
    ),
    "factor": Variable(
        ("compared",), "f", "", "common factor of the sample relative to the first one"
    ),
    "factor_errors": Variable(
        ("compared",), "f", "", "one standard deviation of the factor"
    ),
    "chi_square": Variable(
        ("compared",), "f", "", "of the counts of both samples, if they are the same"
    ),
    "degrees_of_freedom": Variable(("compared",), "i", "", "of chi_square"),
    "p": Variable(
        ("compared",),
        "f",
        "",
        "chance of such a chi_square or a larger one, if they are the same",
    ),
    "amplitude": Variable(
        ("sample",),
        "f",
        "counts/s",
        "strength of the feature, in the sample's own unit",
        False,
    ),
    "amplitude_errors": Variable(
        ("sample",), "f", "counts/s", "one standard deviation of the amplitude", False
    ),
    "ratio": Variable(
        ("compared",),
        "f",
        "",
        "amplitude / common factor / that of the first sample",
        False,
    ),
    "ratio_lower": Variable(
        ("compared",), "f", "", "lower end of the 95 % interval of the ratio", False
    ),
    "ratio_upper": Variable(
        ("compared",), "f", "", "upper end of the 95 % interval of the ratio", False
    ),
    "ratio_p": Variable(
        ("compared",),
        "f",
        "",
        "chance of such a ratio or one farther from 1, if it is 1",
        False,
    ),
}


@cache
def spectrum(dim: str) -> dict[str, Variable]:
    """Return the variables of a spectrum; every call returns the same mapping.

    Parameters
    ----------
    dim : str
        `incident_energy`, `emission_energy` or `energy_loss`.

    Returns
    -------
    dict of str to Variable
        By name.
    """
    values = {
        name: replace(variable, dims=(dim, *variable.dims))
        for name, variable in _SPECTRUM_VALUES.items()
    }
    return {dim: _energy_axis(dim)} | values | _FEATURES


def comparison(dim: str) -> dict[str, Variable]:
    """Return the variables of a comparison; the first sample is the reference.

    Parameters
    ----------
    dim : str
        The axis of the compared spectra.

    Returns
    -------
    dict of str to Variable
        By name.
    """
    variables = {dim: _energy_axis(dim)}
    for name, variable in _COMPARISON.items():
        dims = tuple(dim if d == AXIS else d for d in variable.dims)
        variables[name] = replace(variable, dims=dims)
    return variables


def _energy_axis(dim: str) -> Variable:
    return Variable((dim,), "f", "eV", dim.replace("_", " "))


# Variables of a dataset: name -> (dimensions, array).
Variables = dict[str, tuple[tuple[str, ...], Any]]


def labelled(
    values: Mapping[str, tuple[tuple[str, ...], Any]], variables: dict[str, Variable]
) -> "xr.Dataset":
    """Return a dataset in which every variable has its unit and long name.

    Parameters
    ----------
    values : mapping
        Name -> (dimensions, array).
    variables : dict of str to Variable
        The schema.

    Returns
    -------
    xarray.Dataset
        Other variables have no attributes, but for readings of the log.
    """
    import xarray as xr

    labelled_values = {}
    for name, (dims, array) in values.items():
        attributes = {}
        if name in variables:
            variable = variables[name]
            attributes = {"units": variable.units, "long_name": variable.long_name}
        elif name.startswith(READING):  # the logs do not give units
            channel = name.removeprefix(READING)
            attributes = {"units": "", "long_name": f"{channel}, from the log"}
        labelled_values[name] = (dims, array, attributes)
    return xr.Dataset(labelled_values)


def check(dataset: "xr.Dataset", variables: dict[str, Variable], where: str) -> None:
    """Check a dataset against its schema.

    Parameters
    ----------
    dataset : xarray.Dataset
        To check.
    variables : dict of str to Variable
        The schema.
    where : str
        Begins the message.

    Raises
    ------
    InputError
        A variable is missing, or has other dimensions or another kind of dtype.
    """
    for name, variable in variables.items():
        if name not in dataset.variables:
            if variable.required:
                raise InputError(f"{where}: variable '{name}' is missing")
            continue
        actual = dataset.variables[name]
        kinds = "OSU" if variable.kind == "S" else variable.kind
        if actual.dims != variable.dims or actual.dtype.kind not in kinds:
            raise InputError(
                f"{where}: variable '{name}' has dims {actual.dims} and dtype "
                f"{actual.dtype}, expected {variable.dims} and kind '{variable.kind}'"
            )
