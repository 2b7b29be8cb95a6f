"""From calibrated pulses to RIXS maps."""
