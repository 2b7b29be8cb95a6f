"""Gain curves: pulse heights to energies by the reference lines."""
