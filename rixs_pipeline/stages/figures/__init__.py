"""Figures of a reduction: which there are, what they show, and when they are drawn."""
