"""A mode for builds that only wait for trained weights: initial values are not drawn, which saves a second."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.overrides import TorchFunctionMode

DRAWS = (torch.Tensor.normal_, torch.Tensor.uniform_)  # what torch.nn.init draws with


class WithoutDraws(TorchFunctionMode):
    """Initial values stay unset memory; what is drawn from a generator of its own (a fixed projection) is drawn.

    (A mode one level lower, TorchDispatchMode, would cost a second itself: it loads the compiler.)
    """

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Leave out what draws from torch's global generator."""
        if function in DRAWS and (kwargs or {}).get("generator") is None:
            return args[0]
        return function(*args, **(kwargs or {}))
