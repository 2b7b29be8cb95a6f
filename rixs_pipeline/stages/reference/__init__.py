"""Calibrations from reference runs."""
