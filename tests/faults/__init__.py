"""Faults of beamtimes: injectors by area, and what a reduction makes of them."""
