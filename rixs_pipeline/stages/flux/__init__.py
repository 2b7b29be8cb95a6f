"""I0 of passes and samples, held against each other."""
