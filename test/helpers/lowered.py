"""A function in; inductor's lowering of its graphs, forward and backward, without a C++ compiler and without a run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from torch._inductor import config, output_code
from torch._inductor.async_compile import AsyncCompile


class LoweredError(BaseException):
    """Instead of a run of what was lowered: no handler of errors stops it."""


@contextmanager
def lowering() -> Iterator[Callable[[Callable[[], object]], bool]]:
    """Inside, `lowers(function)` is True where all that the function compiles was lowered."""

    def stop(*arguments: object) -> None:
        raise LoweredError

    def lowers(function: Callable[[], object]) -> bool:
        torch._dynamo.reset()
        try:
            function()
        except LoweredError:
            return True
        return False

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(AsyncCompile, "cpp_pybinding", lambda *arguments: None))
        patches.enter_context(mock.patch.object(output_code.CompiledFxGraph, "__call__", stop))
        patches.enter_context(config.patch(force_disable_caches=True))
        # Else pytest's handler makes torch describe all that it does.
        patches.enter_context(mock.patch.object(logging.getLogger("torch.__trace"), "propagate", False))
        yield lowers
        torch._dynamo.reset()
