"""Energies that a detector is made for, to which widths and tolerances are relative.

The constants of the calibration are those of a detector for lines up to 1 keV. A sensor
for higher energies has a larger heat capacity C: it saturates at an energy that is
proportional to C, and its resolution grows with the root of C [1]_. Real arrays differ:
1.4 to 3 eV at 1 keV, 2 to 8 eV at 6 to 8 keV. So energies are measured in a unit that
follows the highest line, and widths in its cube root, for which the range of a line fit
(a factor of 30) holds all of these.

References
----------
.. [1] K. D. Irwin and G. C. Hilton, Transition-Edge Sensors, in Cryogenic Particle
   Detection, ed. C. Enss, Springer (2005), sec. 3.
"""

from dataclasses import dataclass

import numpy as np

# highest line for which the constants of the calibration were chosen
SOFT_TOP_EV = 1000.0


@dataclass(frozen=True)
class EnergyRange:
    """Range of a detector.

    Attributes
    ----------
    energy_unit
        Energies, and deviations of gain curves, relative to those of a detector for
        1 keV: a power of two, at least 1. Similar sets of lines have the same unit.
    """

    energy_unit: float = 1.0

    @property
    def width_unit(self) -> float:
        """Widths of lines relative to those of a detector for 1 keV."""
        return float(np.cbrt(self.energy_unit))

    @classmethod
    def up_to(cls, highest_energy: float) -> "EnergyRange":
        """Return the range of a detector whose highest line is at an energy in eV."""
        top_energy = max(SOFT_TOP_EV, highest_energy)  # `SOFT_TOP_EV` if NaN
        octave = round(float(np.log2(top_energy / SOFT_TOP_EV)))
        return cls(2.0**octave)


SOFT_RANGE = EnergyRange()
