"""Where the parameters of the energy function lie in a pixel's vector (N_PARAMS,).

The vector has one fixed length for every pixel and kind of curve. `function` gives the
formulae in which the parameters appear.
"""

N_COEFFICIENTS = 40  # of the spline that is the gain curve
PHASE_ORDERS = 3  # polynomials P_1 ... P_3 of the arrival phase
PHASE_POWERS = 3  # powers u^0 ... u^2 of the relative pulse height
N_PHASE = PHASE_ORDERS * PHASE_POWERS

CURVE_GRID = slice(0, 2)  # lowest pulse height of the spline, distance of its knots
CURVE = slice(2, 2 + N_COEFFICIENTS)  # eV
HEIGHT_REF = CURVE.stop  # pulse height at which u is 1
PRETRIGGER_REF = HEIGHT_REF + 1  # pretrigger mean at which there is no drift
DRIFT = slice(PRETRIGGER_REF + 1, PRETRIGGER_REF + 3)  # d0, d1
PHASE_CENTRE = slice(DRIFT.stop, DRIFT.stop + 3)  # polynomial in u
PHASE_HALF_WIDTH = PHASE_CENTRE.stop
PHASE = slice(PHASE_HALF_WIDTH + 1, PHASE_HALF_WIDTH + 1 + N_PHASE)
VALIDITY = slice(PHASE.stop, PHASE.stop + 2)  # s since 1970, from <= time < until
N_PARAMS = VALIDITY.stop
