"""What a compiler has to be told where blocks are computed again in the backward pass."""


def allow_side_effects() -> None:
    """Let a compiler trace blocks that are computed again though they leave a figure for the log (WavLM's gates)."""
    from torch._dynamo import config as dynamo  # a second to import: for this option alone

    dynamo.skip_fwd_side_effects_in_bwd_under_checkpoint = True
