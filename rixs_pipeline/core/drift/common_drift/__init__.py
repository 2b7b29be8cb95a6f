"""Drift that all pixels share, from line positions: equations, prior, posterior."""
