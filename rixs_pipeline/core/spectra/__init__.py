"""Regions of a map and the spectra from them."""
