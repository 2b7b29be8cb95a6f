"""What the scans between two reference runs share: pixels' energies, alignment."""
