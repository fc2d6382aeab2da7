"""The rule of mixed precision: autocast, and a gradient scaler for fp16 only."""

import torch

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Precision:
    """How forward and backward compute; weights and optimizer stay in float32."""

    def __init__(self, dtype: str, device: torch.device) -> None:
        self.device_type = device.type
        self.name = dtype if device.type == "cuda" else "fp32"  # autocast on a CPU is slower, not faster
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.name == "fp16")

    def autocast(self) -> torch.autocast:
        """Around a forward pass."""
        return torch.autocast(self.device_type, DTYPES[self.name], enabled=self.name != "fp32")
