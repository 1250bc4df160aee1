"""The vector instructions that the numerical libraries use: engine.cpu_isa as environment variables.

Each library chooses its fastest code for the processor when it is loaded, and AVX-512 code rounds differently from AVX2
code. So this module runs before any of them is loaded, and imports none.
"""

import os
import platform
import sys
from collections.abc import MutableMapping
from importlib.metadata import version
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
    # torch's matrix products and decompositions. MKL follows AVX2 on Intel's processors alone: only its code for all
    # processors gives the same bits on AMD's.
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",  # those of numpy, scipy and scikit-learn; Haswell was the first with AVX2
}
DISABLED = "NPY_DISABLE_CPU_FEATURES"  # numpy's own loops; it has no variable for the highest level


def set_instructions(cpu_isa: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set or remove the variables, so that params.yaml alone decides. Child processes inherit them.

    Without AVX2, the libraries use what the processor has: there is no common set of instructions to choose.
    """
    for variable in (*AVX2, DISABLED):
        environment.pop(variable, None)
    if cpu_isa == "native":
        return
    if has_avx2():
        environment.update(AVX2)
        environment[DISABLED] = numpy_features_above_avx2()
    else:
        print(
            f"device: engine.cpu_isa is {cpu_isa}, which this processor ({platform.machine()}) does not have: "
            "it computes as with native, and results differ from those of processors with AVX2",
            file=sys.stderr,
        )


def has_avx2() -> bool:
    """Whether this is an x86-64 processor with AVX2 and FMA. The names are those of Linux."""
    if platform.machine() != "x86_64" or not CPU_INFO.exists():
        return False
    lines = CPU_INFO.read_text().splitlines()
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {"avx2", "fma"} <= set(flags)


def numpy_features_above_avx2() -> str:
    """The AVX-512 features for which numpy has code. A processor may lack them, but numpy warns of a name it does not know."""
    if tuple(map(int, version("numpy").split(".")[:2])) >= (2, 4):
        return "X86_V4 AVX512_ICL AVX512_SPR"
    return "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
