"""Changes of the energy scale in time, and pulses that others disturb."""
