"""All compiled loops, for a process from which workers are forked.

It also has numba's tables of what can be compiled, which each worker would otherwise
set up in a second.
"""

from numba.core.registry import cpu_target

import rixs_pipeline.core.calibration.identification.assignment_kernels
import rixs_pipeline.core.calibration.line_kernels
import rixs_pipeline.core.calibration.pulse_kernels
import rixs_pipeline.core.drift.pixel_comparison.piece_kernels
import rixs_pipeline.core.drift.pixel_comparison.stretch_kernels
import rixs_pipeline.core.energy.correction_kernels
import rixs_pipeline.core.maps.bin_kernel
import rixs_pipeline.core.timing.band_kernels  # noqa: F401

cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
