"""Pixels of a scan compared with each other by spectra of its pieces."""
