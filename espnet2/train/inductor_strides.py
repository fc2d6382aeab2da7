"""A mend of PyTorch 2.13's inductor, without which it lowers no attention or convolution whose frames are a symbol.

It asks whether one stride is a multiple of another even where it knows already that it is smaller. For frames that are
a sum, such as (samples - 400) // 320 + 1, the question ends in `ValueRangeError: Invalid ranges [0:-1]` (pytorch issues
188323, 188422, on CPU and CUDA; 2.12 does not ask). Remove this file when the oldest supported version does not either.
"""

import torch

ASKS = "_stride_expr_ge_or_false"  # of torch._inductor.ir.Layout; versions without it are left alone


def compare_strides_by_size() -> None:
    """Let inductor compare strides by their size alone.

    That loses nothing: sizes of ours are always known for the batch at hand, so that the question of the size has an
    answer; the other one is for sizes that nobody knows.
    """
    if not torch.__version__.startswith("2.13."):
        return
    from torch._inductor.ir import Layout

    if hasattr(Layout, ASKS):
        setattr(Layout, ASKS, staticmethod(_at_least))


def _at_least(left: object, right: object) -> bool:
    """Whether a stride is at least another one; 0 is no stride."""
    import sympy
    from torch._inductor.virtualized import V

    holds = V.graph.sizevars.guard_or_false
    if holds(sympy.Eq(right, 0)):  # type: ignore[no-untyped-call]
        return True
    return not holds(sympy.Eq(left, 0)) and bool(holds(sympy.Ge(left, right)))  # type: ignore[no-untyped-call]
