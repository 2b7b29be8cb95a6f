"""The energy function of a pixel, compiled kernels and corrections."""
