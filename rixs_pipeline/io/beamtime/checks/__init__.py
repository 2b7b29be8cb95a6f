"""What files of a beamtime say twice, or say against each other."""
