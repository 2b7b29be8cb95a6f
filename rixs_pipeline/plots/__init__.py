"""A dataset in, a figure out."""
