"""Functions of arrays and plain values: calibration, binning, regions, statistics."""
