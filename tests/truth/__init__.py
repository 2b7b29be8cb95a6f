"""Measurements against the truth of simulated beamtimes; run as programs."""
