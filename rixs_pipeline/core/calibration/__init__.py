"""From pulses of a reference run to a calibrated pixel."""
