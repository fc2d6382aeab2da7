"""The rule of mixed precision: autocast, and a gradient scaler for fp16 only."""

import torch

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Precision:
    """How forward and backward compute; weights and optimizer stay in float32.

    A GPU computes in what the config says. A CPU computes in bf16 where that is asked for and pays, else in fp32.
    """

    def __init__(self, dtype: str, device: torch.device) -> None:
        self.device_type = device.type
        self.name = dtype if device.type != "cpu" or (dtype == "bf16" and has_matrix_units()) else "fp32"
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.name == "fp16")

    def autocast(self) -> torch.autocast:
        """Around a forward pass."""
        return torch.autocast(self.device_type, DTYPES[self.name], enabled=self.name != "fp32")

    def describe(self) -> str:
        """A line of the log."""
        return f"precision: {self.name}" if self.name == "fp32" else f"precision: {self.name}, weights in fp32"

    def restore(self, name: str) -> str:
        """On a CPU, go on in what the checkpoint was computed in; a warning where that cannot be, or "".

        A run then stays on its path bit for bit when the toolkit or the processor is another one.
        """
        if self.device_type != "cpu" or name == self.name:
            return ""
        if name == "fp32":
            self.name = name
            return ""
        return (
            f"the checkpoint was computed in {name}, this processor goes on in {self.name}: "
            "the run goes on, but no longer bit for bit as without a break"
        )


def has_matrix_units() -> bool:
    """Whether this CPU multiplies matrices of bf16 in units of their own (AMX).

    Without them bf16 is slower than fp32: a mini HuBERT's update took 45 ms with AMX, 72 in fp32, 90 with AVX-512's
    dot products of bf16, 176 with AVX-512 alone, 700 with AVX2 (one core; ONEDNN_MAX_CPU_ISA chose the instructions).
    """
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)  # not public in PyTorch 2.13
    return bool(probe and probe())
