"""The same task gives the same file, byte for byte, on every machine: here with instruction sets switched off.

`make test-emulated` looks at processors that this machine has not, and at another zlib.
"""

import os
import subprocess
import sys

import pytest

from helpers import HELPERS
from helpers.golden import GOLDEN, sha256
from helpers.waiting import TIMEOUT
from oat.rendering.machine_code import cpu_features

OLD = "+sse,+sse2,+cx16"
AVX2 = f"{OLD},+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2"
MACHINES = {
    "generic": OLD,
    "nehalem": f"{OLD},+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt",
    "haswell": AVX2,
    "skylake-avx512": f"{AVX2},+avx512f,+avx512cd,+avx512bw,+avx512dq,+avx512vl",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_file_is_the_one_of_every_machine(name: str) -> None:
    it, expected = GOLDEN[name]
    assert sha256(it) == expected


@pytest.mark.parametrize("processor", MACHINES)
def test_the_file_is_the_same_by_the_instructions_of_other_processors(processor: str) -> None:
    features = MACHINES[processor]
    if not {name[1:] for name in features.split(",")} <= cpu_features() | {"sse", "cx16"}:
        pytest.skip(f"this machine can't do what {processor} can")
    environment = os.environ | {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": features}
    python = [sys.executable, HELPERS / "golden.py"]
    done = subprocess.run(python, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
