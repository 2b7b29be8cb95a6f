"""Readers against files that are changed at random: `python -m tests.fuzz TARGET`."""
