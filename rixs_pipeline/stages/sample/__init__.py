"""Maps and spectra of a sample and edge."""
