"""What is kept between reductions, so that nothing is read or computed twice."""
