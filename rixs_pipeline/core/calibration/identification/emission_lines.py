"""Strongest emission lines of the elements, eV, to tell what a peak may be.

X-ray Data Booklet (LBNL 2009), Table 1-3, as copied in github.com/puglet5/XRFViewer:
the strongest line of each series from 100 eV to 10 keV, and L beta of the 3d metals.
Ca La is that of Table 1-2. K alpha is the mean of K alpha 1 and 2, weighted 2:1, where
a peak that does not resolve them stands. Nothing is calibrated with these energies.
"""

import numpy as np

from rixs_pipeline.types import FloatArray

K_ALPHA_EV = {
    **{"Be": 108.5, "B": 183.3, "C": 277.0, "N": 392.4, "O": 524.9, "F": 676.8},
    **{"Ne": 848.6, "Na": 1041.0, "Mg": 1253.6, "Al": 1486.7, "Si": 1740.0},
    **{"P": 2013.7, "S": 2307.8, "Cl": 2622.4, "Ar": 2957.7, "K": 3313.8},
    **{"Ca": 3690.5, "Sc": 4089.1, "Ti": 4508.8, "V": 4949.7, "Cr": 5411.6},
    **{"Mn": 5895.1, "Fe": 6399.5, "Co": 6925.3, "Ni": 7472.4, "Cu": 8041.1},
    **{"Zn": 8631.2, "Ga": 9242.7, "Ge": 9876.0},
}
L_ALPHA_EV = {
    **{"Ca": 341.3, "Sc": 395.4, "Ti": 452.2, "V": 511.3, "Cr": 572.8, "Mn": 637.4},
    **{"Fe": 705.0, "Co": 776.2, "Ni": 851.5, "Cu": 929.7, "Zn": 1011.7},
    **{"Ga": 1097.9, "Ge": 1188.0, "As": 1282.0, "Se": 1379.1, "Br": 1480.4},
    **{"Kr": 1586.0, "Rb": 1694.1, "Sr": 1806.6, "Y": 1922.6, "Zr": 2042.4},
    **{"Nb": 2165.9, "Mo": 2293.2, "Ru": 2558.6, "Rh": 2696.7, "Pd": 2838.6},
    **{"Ag": 2984.3, "Cd": 3133.7, "In": 3286.9, "Sn": 3444.0, "Sb": 3604.7},
    **{"Te": 3769.3, "I": 3937.6, "Xe": 4109.9, "Cs": 4286.5, "Ba": 4466.3},
    **{"La": 4651.0, "Ce": 4840.2, "Pr": 5033.7, "Nd": 5230.4, "Sm": 5636.1},
    **{"Eu": 5845.7, "Gd": 6057.2, "Tb": 6272.8, "Dy": 6495.2, "Ho": 6719.8},
    **{"Er": 6948.7, "Tm": 7179.9, "Yb": 7415.6, "Lu": 7655.5, "Hf": 7899.0},
    **{"Ta": 8146.1, "W": 8397.6, "Re": 8652.5, "Os": 8911.7, "Ir": 9175.1},
    **{"Pt": 9442.3, "Au": 9713.3, "Hg": 9988.8},
}
L_BETA_EV = {
    **{"Sc": 399.6, "Ti": 458.4, "V": 519.2, "Cr": 582.8, "Mn": 648.8, "Fe": 718.5},
    **{"Co": 791.4, "Ni": 868.8, "Cu": 949.8, "Zn": 1034.7},
}
M_ALPHA_EV = {
    **{"La": 833.0, "Ce": 883.0, "Pr": 929.2, "Nd": 978.0, "Sm": 1081.0},
    **{"Eu": 1131.0, "Gd": 1185.0, "Tb": 1240.0, "Dy": 1293.0, "Ho": 1348.0},
    **{"Er": 1406.0, "Tm": 1462.0, "Yb": 1521.4, "Lu": 1581.3, "Hf": 1644.6},
    **{"Ta": 1709.6, "W": 1775.4, "Re": 1842.5, "Os": 1910.2, "Ir": 1979.9},
    **{"Pt": 2050.5, "Au": 2122.9, "Hg": 2195.3, "Tl": 2270.6, "Pb": 2345.5},
    **{"Bi": 2422.6, "Th": 2996.1, "U": 3170.8},
}


STRONGEST_EV = np.array(
    [*K_ALPHA_EV.values(), *L_ALPHA_EV.values(), *M_ALPHA_EV.values()]
)


def l_beta_lines(peak_energy: FloatArray, reach: FloatArray) -> FloatArray:
    """Return the L beta lines of the elements whose L alpha is among peaks.

    Parameters
    ----------
    peak_energy
        (peak,) eV.
    reach
        (peak,) distance within which a peak is a line, eV.

    Returns
    -------
    FloatArray
        (line,) eV. L beta is never there without the stronger L alpha.
    """
    return np.array(
        [
            l_beta
            for element, l_beta in L_BETA_EV.items()
            if (np.abs(peak_energy - L_ALPHA_EV[element]) < reach).any()
        ]
    )
