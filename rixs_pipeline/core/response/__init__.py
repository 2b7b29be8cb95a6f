"""Detector response: low-energy tail and resolution, from reference runs."""
