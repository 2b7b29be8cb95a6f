"""The folder of results: what in it is fresh, and what it says of itself."""
