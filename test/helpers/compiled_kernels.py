"""A GPU's architecture and an attention in; the kernels that Triton compiles for it, without any GPU, out.

    python test/helpers/compiled_kernels.py 90,gated,64,0.1 80,alibi,64,0,float16    # JSON: each -> kernel -> figures

The launches' own code gives the arguments; nothing is launched. ptxas and nvdisasm of Triton's wheel tell the rest.
"""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from espnet2.ssl.kernels import attention

TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
BASE = (22, 12, 781)  # rows, heads, frames: 15.6 s


@dataclass(frozen=True)
class Figures:
    """Of one kernel."""

    registers: int  # of a thread
    spilled_bytes: int  # stored and loaded, of a thread
    shared_bytes: int  # of a program
    loop_instructions: int  # of a warp, in one step of its loop


class PretendedDriver:
    """A device of some architecture that nobody asks for more than its name."""

    def __init__(self, architecture: int) -> None:
        self.target = GPUTarget("cuda", architecture, 32)

    def get_current_device(self) -> int:
        """A number of its own for each architecture: kernels are cached by device."""
        return self.target.arch

    def get_current_stream(self, device: int) -> int:
        """The default one."""
        return 0

    def get_current_target(self) -> GPUTarget:
        """What is compiled for."""
        return self.target


def compiled(architecture: int, position: str, head_dim: int, dropout: float, dtype: torch.dtype) -> dict[str, Figures]:
    """The kernels of one forward and backward pass.

    Args:
        position: gated, or alibi: of kept frames, padded.
    """
    driver.set_active(PretendedDriver(architecture))
    kernels, run = {}, JITFunction.run

    def compile_only(self: JITFunction, *arguments: object, warmup: bool, **options: object) -> object:
        kernels[self.__name__] = kernel = run(self, *arguments, warmup=True, **options)
        return kernel

    rows, heads, frames = BASE
    is_gated = position == "gated"
    query, key, value = torch.empty(rows, frames, 3, heads, head_dim, dtype=dtype).permute(2, 0, 3, 1, 4).unbind(0)
    row = torch.empty(heads, 2 * (frames + attention.BEYOND_THE_END) + 1) if is_gated else None
    weight = torch.empty(rows, heads, frames) if is_gated else torch.empty(heads)[:, None].expand(rows, heads, frames)
    positions = None if is_gated else torch.empty(rows, frames, dtype=torch.int32)
    valid = None if is_gated else torch.empty(rows, frames, dtype=torch.bool)
    seed = torch.empty(1, dtype=torch.int64) if dropout else None
    inputs = (query, key, value, weight, row, positions, valid, seed, 0, dropout)
    with mock.patch.object(JITFunction, "run", compile_only):
        output, log_sums = attention.attend(*inputs)
        attention.attend_backward(*inputs, output, log_sums, torch.empty_like(output), True, is_gated)
    return {name: figures(kernel, architecture) for name, kernel in kernels.items()}


def figures(kernel: triton.compiler.CompiledKernel, architecture: int) -> Figures:
    """What the assembler says of one kernel, and what its machine code looks like."""
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(kernel.asm["ptx"])
        binary.write_bytes(kernel.asm["cubin"])
        device = f"--gpu-name=sm_{architecture}{'a' if architecture >= 90 else ''}"
        said = _run(str(TOOLS / "ptxas"), "-v", device, str(source), "-o", str(Path(folder) / "again.cubin"))
        code = _run(str(TOOLS / "nvdisasm"), "-c", str(binary))
    registers = int(re.search(r"Used (\d+) registers", said)[1])
    spilled = sum(map(int, re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", said).groups()))
    return Figures(registers, spilled, kernel.metadata.shared, longest_loop(code))


def longest_loop(code: str) -> int:
    """Instructions between the label and the branch back to it that lie furthest apart."""
    labels, number, longest = {}, 0, 0
    for line in code.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = number
        elif re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+\S", line):
            number += 1
            branch = re.search(r"\bBRA\b.*(\.L_x_\d+)", line)
            if branch and branch[1] in labels:
                longest = max(longest, number - labels[branch[1]])
    return longest


def _run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout + result.stderr


def main() -> int:
    """Entry point."""
    results = {}
    for words in sys.argv[1:]:
        architecture, position, head_dim, dropout, *dtype = words.split(",")
        options = (float(dropout), getattr(torch, *dtype or ["bfloat16"]))
        kernels = compiled(int(architecture), position, int(head_dim), *options)
        results[words] = {name: asdict(kernel) for name, kernel in kernels.items()}
    print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
