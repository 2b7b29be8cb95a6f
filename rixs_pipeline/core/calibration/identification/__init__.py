"""Which peak is which line: peaks, assignments, hints, and what speaks against them."""
