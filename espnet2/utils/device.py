"""The name of a device, as the option --device takes it; torch is loaded only to see whether there is such a GPU."""

import argparse
import re
from typing import TYPE_CHECKING

from espnet2.utils.errors import UserError

if TYPE_CHECKING:
    import torch

FLOAT32, TF32, BFLOAT16 = "float32", "tf32", "bfloat16"
DTYPES = (FLOAT32, TF32, BFLOAT16)  # of a model's products, where its features are asked for


def device_name(text: str) -> str:
    """An argparse type: "cpu", "cuda" or "cuda:<number>"."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no device; expected cpu, cuda or cuda:<number>")
    return text


def require_device(name: str) -> str:
    """The same name, if PyTorch can use it.

    Raises:
        UserError: a GPU that is not there.
    """
    if name.startswith("cuda"):
        import torch

        count, number = torch.cuda.device_count(), int(name.partition(":")[2] or 0)
        if number >= count:
            seen = f"sees {count} GPUs, counted from 0" if count else "sees no GPU"
            raise UserError(
                f"--device {name}: PyTorch {torch.__version__} {seen}; use the CPU with --device cpu (in a "
                "recipe: --ngpu 0, --gpu_dump_feature false), or check "
                ""
                "nvidia-smi and CUDA_VISIBLE_DEVICES"
            )
    return name


def describe_device(device: "torch.device") -> str:
    """The name of a GPU as its maker gives it, or CPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
