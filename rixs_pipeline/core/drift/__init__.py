"""Changes of the energy scale in time."""
