"""The base of encoders that are a stack of equal blocks: their positions, blocks and initial weights."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from espnet2.ssl.encoder.base import Encoder, Hidden, check_layers, require_keep
from espnet2.ssl.encoder.stack_config import StackConfig
from espnet2.ssl.modules import position_kernel
from espnet2.ssl.modules.attention import AttentionPosition, SelfAttention
from espnet2.ssl.modules.attention_position import SharedPosition, add_mask, shared_position
from espnet2.ssl.modules.attention_rows import LOGITS_AT_ONCE, LongPosition
from espnet2.ssl.modules.gated_relative import PositionGate
from espnet2.ssl.modules.left_out import pass_by
from espnet2.ssl.modules.lengths import valid_frames, zero_padding
from espnet2.ssl.modules.position import ConvPosition, ConvPositionStack, frame_offsets, gather_frames
from espnet2.ssl.modules.rotary import RotaryInput


class Block(nn.Module):
    """One of the equal blocks of a stack, compiled and sharded as one unit; for its call see `BlockStack`."""

    attention: SelfAttention

    def left_out(self) -> None:
        """This forward pass does without it: figures for the log that it left in an earlier one are no more."""
        if isinstance(self.attention.position, PositionGate):
            self.attention.position.last = None


class BlockStack(Encoder):
    """Positions, then blocks `(x, mask, position, valid) -> (output, feed-forward branch before its residual)`.

    Args:
        make_block: called once per layer; the blocks get `mask` and `position` of `SelfAttention.forward`, and `valid`
            of `valid_frames`.
        norm: over frames, for `enter` or `leave`; None where a stack has none.
    """

    norm: nn.Module | None
    block_is_kept: Tensor  # (num_layers,) bool

    def __init__(self, config: StackConfig, make_block: Callable[[], Block], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.dim, self.num_layers, self.layerdrop = config.dim, config.num_layers, config.layerdrop
        self.position = _conv_position(config)
        self.positions_replace = config.position_join == "replace"
        self.attention_position = shared_position(config, config.dim, config.num_heads)
        self.in_kernel = config.attention_kernel == "triton"
        self.bias_needs_all_frames = self.in_kernel and config.attention_position == "gated_relative"
        self.norm = norm
        self.dropout = nn.Dropout(config.dropout)
        self.recompute_blocks = config.recompute_blocks
        if self.recompute_blocks:
            _allow_side_effects()
        self.blocks = nn.ModuleList(make_block() for _ in range(config.num_layers))
        self.skips = _long_skips(config) if config.long_skips else None
        self.register_buffer("block_is_kept", torch.ones(config.num_layers, dtype=torch.bool), persistent=False)
        self._left_out: frozenset[int] = frozenset()  # numbers of the others, on the host

    def enter(self, x: Tensor) -> Tensor:
        """What happens to the frames between positions and dropout."""
        return x

    def leave(self, x: Tensor) -> Tensor:
        """What happens to the output of the last block."""
        left: Tensor = x if self.norm is None else self.norm(x)
        return left

    def depth(self, name: str) -> int:
        """See `Encoder.depth`; a long skip lies where it joins, in the upper half."""
        part, _, inside = name.partition(".")
        if part == "skips":
            return self.num_layers - self.num_layers // 2 + 1 + int(inside.partition(".")[0])
        return self.num_layers + 1 if part == "norm" else super().depth(name)

    def set_layerdrop(self, keep: Tensor) -> None:
        """Choose the blocks of this update: (num_layers,) bool, on the host."""
        self.block_is_kept.copy_(keep, non_blocking=True)
        self._left_out = frozenset(number for number, is_kept in enumerate(keep.tolist(), 1) if not is_kept)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None,
        *,
        keep: Tensor | None = None,
        prefix: Tensor | None = None,
        layers: Sequence[int] | None = None,
        branch: str | None = None,
    ) -> Hidden:
        """Encode; see `Encoder.forward`."""
        top = check_layers(layers, self.num_layers, branch)
        if keep is not None:
            require_keep(self, "this objective")
        num_frames, num_prefixes = x.size(1), 0 if prefix is None else prefix.size(1)
        valid = valid_frames(lengths, num_frames)
        x = zero_padding(x, valid)  # positions look beyond the end of a row: zeros lie there, as behind a row alone
        if self.position is not None:
            positions = self.position(x, valid)
            x = positions if self.positions_replace else x + positions
        if keep is not None:  # after the positions: what is left out was a neighbour of what stays
            x, valid = gather_frames(x, keep), None if valid is None else keep >= 0
        if prefix is not None:  # after them too: a prefix has no place in time
            x = torch.cat([prefix.to(x.dtype), x], dim=1)
            valid = None if valid is None else F.pad(valid, (num_prefixes, 0), value=True)
        x = self.dropout(self.enter(x))
        mask, position = self._attention_inputs(x.size(0), valid, num_frames, keep, num_prefixes, x.device)
        requested = set(layers or ())
        outputs = {0: x} if 0 in requested else {}
        lower: list[Tensor] = []  # outputs that wait for their mirror
        for number, block in enumerate(self.blocks[:top], 1):
            source = self._join(x, lower, number)
            dropped = self.training and self.layerdrop > 0 and (_in_graph() or number in self._left_out)
            if dropped and not _in_graph() and not (branch and number in requested):
                cast(Block, block).left_out()
                output = feed_forward = pass_by(x, self._parameters_of(block))
            else:
                output, feed_forward = self._compute(cast(Block, block), source, mask, position, valid)
                if dropped:  # or may be: both sides stay in the graph
                    output = torch.where(self.block_is_kept[number - 1], output, x)
            x = output
            if self.skips is not None and number <= len(self.skips):
                lower.append(x)
            if number in requested:
                outputs[number] = feed_forward if branch else x
        return Hidden(self.leave(x) if top == self.num_layers else None, outputs)

    def _parameters_of(self, block: nn.Module) -> list[nn.Parameter]:
        """With those of the positions that all blocks share: an update may do without any block."""
        shared = () if self.attention_position is None else self.attention_position.parameters()
        return [*block.parameters(), *shared]

    def _compute(
        self,
        block: Block,
        x: Tensor,
        mask: Tensor | None,
        position: AttentionPosition | None,
        valid: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """A block's results; of what lies between them nothing is kept where the blocks are computed again."""
        results: tuple[Tensor, Tensor]
        if self.recompute_blocks and self.training and torch.is_grad_enabled():
            results = checkpoint(block, x, mask, position, valid, use_reentrant=False)
        else:
            results = block(x, mask, position, valid)
        return results

    def _attention_inputs(
        self,
        batch: int,
        valid: Tensor | None,
        num_frames: int,
        keep: Tensor | None,
        num_prefixes: int,
        device: torch.device,
    ) -> tuple[Tensor | None, AttentionPosition | None]:
        """`mask` and `position` of `SelfAttention.forward`, made once for all blocks."""
        mask = None if valid is None else valid[:, None, None, :]
        if self.attention_position is None:
            return mask, None
        if self.in_kernel and position_kernel.runs_kernel(device):
            return None, position_kernel.kernel_position(self.attention_position, valid, num_frames, keep, num_prefixes)
        if keep is None and (long := self._long_position(batch, valid, num_frames, num_prefixes, device)):
            return None, long
        offsets = frame_offsets(num_frames, keep, device)
        position: SharedPosition = self.attention_position(offsets, num_frames, num_prefixes)
        if self._first_attention().position is None and isinstance(position, Tensor):  # the same bias in all layers
            return add_mask(position, mask), None
        return mask, position

    def _long_position(
        self, batch: int, valid: Tensor | None, num_frames: int, num_prefixes: int, device: torch.device
    ) -> LongPosition | None:
        """`position` for so many frames that the biases of all pairs would not fit; None where they do, or training."""
        attention = self._first_attention()
        in_layers, num_heads = attention.position is not None, attention.num_heads
        fits = not self.scores_in_parts(num_frames)
        if fits or torch.is_grad_enabled() or (in_layers and num_prefixes) or self.attention_position is None:
            return None
        return LongPosition(
            self.attention_position, in_layers, valid, batch, num_heads, num_frames, num_prefixes, device
        )

    def scores_in_parts(self, num_frames: int) -> bool:
        """See `Encoder.scores_in_parts`. Of one row: training's batches of short rows go as usual."""
        if self.attention_position is None or isinstance(self.attention_position, RotaryInput):
            return False
        return self._first_attention().num_heads * num_frames**2 > LOGITS_AT_ONCE

    def _first_attention(self) -> SelfAttention:
        """Of the first block; positions and heads are the same in all."""
        return cast(Block, self.blocks[0]).attention

    def _join(self, x: Tensor, lower: list[Tensor], number: int) -> Tensor:
        """The input of block `number`: in the upper half of a U shape together with its mirror's output."""
        if self.skips is None or number <= self.num_layers - len(self.skips):
            return x
        skip = self.skips[number - 1 - (self.num_layers - len(self.skips))]
        joined: Tensor = skip(torch.cat([x, lower.pop()], dim=-1))
        return joined


def _in_graph() -> bool:
    """Whether a compiler looks on: one graph for all updates computes all blocks, and replaces the outputs of some.

    Else there would be a graph for each choice of blocks.
    """
    return torch.compiler.is_compiling()


def _allow_side_effects() -> None:
    """Let a compiler trace blocks that are computed again though they leave a figure for the log (WavLM's gates)."""
    from torch._dynamo import config as dynamo  # a second to import: for this option alone

    dynamo.skip_fwd_side_effects_in_bwd_under_checkpoint = True


def init_as_bert(block: nn.Module) -> None:
    """Linear layers from N(0, 0.02) and zero biases, as fairseq's init_bert_params."""
    for module in block.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _conv_position(config: StackConfig) -> nn.Module | None:
    """What `encoder_conf: position` asks for; x -> what is added to x, or takes its place."""
    if config.position == "none":
        return None
    size = (config.dim, config.position_kernel, config.position_groups)
    if config.position == "conv_stack":
        return ConvPositionStack(*size, config.position_depth)
    return ConvPosition(*size, weight_norm=config.position_weight_norm)


def _long_skips(config: StackConfig) -> nn.ModuleList:
    """(x, mirror) -> input of a block in the upper half; at the start the mirror is not looked at."""
    skips = [nn.Linear(2 * config.dim, config.dim) for _ in range(config.num_layers // 2)]
    for skip in skips:
        nn.init.eye_(skip.weight)
        nn.init.zeros_(skip.bias)
    return nn.ModuleList(skips)
