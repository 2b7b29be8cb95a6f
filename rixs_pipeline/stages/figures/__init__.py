"""Figures of a reduction."""
