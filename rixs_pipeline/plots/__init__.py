"""Figures of datasets: each `..._figure` function takes datasets and returns a Figure.

The command line imports these modules long before it draws, and draws in other
processes. Matplotlib takes 0.5 s to load, so only functions import it.
"""
