"""Runs the stages, decides what is fresh, and writes run.json."""
