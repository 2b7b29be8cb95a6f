"""A beamtime with known truth, written in the real formats."""
