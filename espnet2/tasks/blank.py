"""A build that only waits for trained weights in, the same parts without the second that drawing them takes out."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

DRAWS = {torch.ops.aten.normal_.default, torch.ops.aten.uniform_.default}


class WithoutDraws(TorchDispatchMode):
    """Initial values stay unset memory; what is drawn from a generator of its own (a fixed projection) is drawn."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Leave out what draws from torch's global generator."""
        if function in DRAWS and (kwargs or {}).get("generator") is None:
            return args[0]
        return function(*args, **(kwargs or {}))
