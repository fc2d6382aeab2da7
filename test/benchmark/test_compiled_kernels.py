"""The attention kernels compiled for A100 and H100 without a GPU: they fit, and hardly a register is spilled."""

import json
import os
import subprocess
import sys

import pytest
from own_kernels import INSTRUCTIONS

from espnet2.ssl.modules.position_kernel import HAS_TRITON

pytestmark = [pytest.mark.triton, pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed")]

SHARED_BYTES = 99 * 1024  # of a program, on the smallest GPU since Ampere
SPILLED_BYTES = 256  # stored and loaded, of a thread
CASES = [f"{architecture},{position},64,0.1" for architecture in (80, 90) for position in ("gated", "alibi")]


@pytest.fixture(scope="module")
def compiled(root, tmp_path_factory):
    """Case -> kernel -> figures, from a process of its own: in this one the interpreter stands for the compiler."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(root), "TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton"))}
    command = [sys.executable, str(root / "test/helpers/compiled_kernels.py"), *CASES]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


@pytest.mark.parametrize("case", CASES)
def test_base_size_fits_with_dropout(compiled, case):
    kernels = compiled[case]
    assert len(kernels) == (4 if "gated" in case else 3)
    for name, figures in kernels.items():
        assert figures["shared_bytes"] <= SHARED_BYTES, (name, figures)
        assert figures["spilled_bytes"] <= SPILLED_BYTES, (name, figures)


@pytest.mark.parametrize("position", ["gated", "alibi"])
def test_the_model_of_time_counts_the_instructions_that_there_are(compiled, position):
    kernels = compiled[f"90,{position},64,0.1"]
    names = ("attend_kernel", "query_gradient_kernel", "key_gradient_kernel")
    assert tuple(kernels[name]["loop_instructions"] for name in names) == INSTRUCTIONS[position]
