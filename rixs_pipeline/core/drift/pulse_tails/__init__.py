"""Pulses on the tail of the previous one: affected by it, or triggered by it."""
