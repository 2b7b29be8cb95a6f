"""Sudden changes of one pixel, of its baseline or its gain, and when they happen."""
