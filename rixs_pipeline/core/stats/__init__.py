"""Intervals, homogeneity tests and robust statistics."""
