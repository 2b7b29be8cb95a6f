"""Elastic light: its offset from the incident scale, and its intensity in a map."""
