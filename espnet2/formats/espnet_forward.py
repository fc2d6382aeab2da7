"""The forward pass of ESPnet's ssl1, on weights under its own names, in plain torch.

ESPnet's package has the name of this one, so the two cannot be imported together. This is what its classes of release
202511 compute for one utterance in evaluation mode, written from reading them and without any module of this toolkit,
so that an import is compared with something else than itself. `test/interop` compares it with the package.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

TORCH_EPS = 1e-5  # of torch.nn.LayerNorm and GroupNorm, which the frontend and the first norm of a transformer are
BLOCK_EPS = 1e-12  # of espnet.nets.pytorch_backend.transformer.layer_norm.LayerNorm, which all others are


@dataclass(frozen=True)
class Part:
    """A module: the weights below a prefix, and what torch's functions make of them."""

    state: Mapping[str, Tensor]
    prefix: str = ""

    def below(self, name: str) -> "Part":
        """One of its children."""
        return Part(self.state, f"{self.prefix}{name}.")

    def get(self, name: str) -> Tensor | None:
        """One of its weights, if it has it."""
        value = self.state.get(self.prefix + name)
        return None if value is None else value.float()

    def need(self, name: str) -> Tensor:
        """One of its weights.

        Raises:
            KeyError: it does not have it.
        """
        return self.state[self.prefix + name].float()

    def linear(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return F.linear(x, self.need("weight"), self.get("bias"))

    def norm(self, x: Tensor, eps: float = BLOCK_EPS) -> Tensor:
        """LayerNorm of (..., width)."""
        return F.layer_norm(x, x.shape[-1:], self.get("weight"), self.get("bias"), eps)

    def conv(self, x: Tensor, **options: int) -> Tensor:
        """(frames, inputs) -> (frames, outputs)."""
        return F.conv1d(x.T[None], self.need("weight"), self.get("bias"), **options)[0].T

    def depthwise(self, x: Tensor) -> Tensor:
        """(frames, channels), each channel with its own kernel; as many frames as before."""
        return self.conv(x, padding=self.need("weight").size(-1) // 2, groups=x.size(1))


@dataclass(frozen=True)
class Recipe:
    """What the weights alone do not say."""

    encoder: str  # transformer, e_branchformer or conformer
    num_blocks: int
    num_heads: int
    normalizes_before: bool  # of a transformer: norms before each half
    is_relative: bool  # positions of Transformer-XL
    convolves: bool  # positions are a convolution
    strides: tuple[int, ...]  # of the frontend's convolutions
    norm_mode: str  # of these
    normalizes_audio: bool
    normalizes_output: bool  # of the frontend

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> "Recipe":
        """From the settings of `espnet_ssl1.settings_of`, which were checked by `espnet_ssl1.read`."""
        encoder = str(settings["encoder"])
        is_relative = settings.get("encoder_conf.pos_enc_layer_type") == "rel_pos"
        shapes = cast(Sequence[tuple[int, int, int]], settings["frontend_conf.shapes"])
        return cls(
            encoder=encoder,
            num_blocks=cast(int, settings["encoder_conf.num_blocks"]),
            num_heads=cast(int, settings["encoder_conf.attention_heads"]),
            normalizes_before=bool(settings["encoder_conf.normalize_before"]),
            is_relative=is_relative,
            convolves=not is_relative
            and (encoder != "transformer" or settings["encoder_conf.input_layer"] is not None),
            strides=tuple(stride for _, _, stride in shapes),
            norm_mode=str(settings["frontend_conf.norm_mode"]),
            normalizes_audio=bool(settings["frontend_conf.normalize_audio"]),
            normalizes_output=bool(settings["frontend_conf.normalize_output"]),
        )


@torch.no_grad()
def hidden_states(state: Mapping[str, Tensor], settings: Mapping[str, object], wav: Tensor) -> dict[int | str, Tensor]:
    """What `ESPnetSSLModel.inference_encode` returns.

    Args:
        state: their state dict.
        settings: of `espnet_ssl1.settings_of`.
        wav: (samples,) as it is in the file.

    Returns:
        0: the input of the first block; l: the output of block l; "last": its output. (frames, width) each.
    """
    recipe = Recipe.of(settings)
    model = Part(state)
    x = model.below("preencoder.linear_out").linear(_frontend(model.below("frontend"), recipe, wav))
    encoder = model.below("encoder")
    offsets = None
    if recipe.is_relative:
        x, offsets = x * math.sqrt(x.size(1)), _sinusoids(*x.shape)
    elif recipe.convolves:
        x = _positions(encoder.below("embed.0.convs.0"), x)
    first = encoder.below("embed.1")
    x = x if first.get("weight") is None else first.norm(x, TORCH_EPS)
    block = {"transformer": _transformer, "e_branchformer": _e_branchformer, "conformer": _conformer}[recipe.encoder]
    layers: dict[int | str, Tensor] = {0: x}
    for number in range(recipe.num_blocks):
        x = block(encoder.below(f"encoders.{number}"), recipe, x, offsets)
        layers[number + 1] = x
    after = encoder.below("after_norm")
    return layers | {"last": x if after.get("weight") is None else after.norm(x)}


def _frontend(part: Part, recipe: Recipe, wav: Tensor) -> Tensor:
    """(samples,) -> (frames, channels)."""
    if recipe.normalizes_audio:
        wav = F.layer_norm(wav, wav.shape)
    x = wav[:, None]
    for number, stride in enumerate(recipe.strides):
        layer = part.below(f"layers.{number}")
        x, norm = layer.below("conv").conv(x, stride=stride), layer.below("layer_norm")
        if norm.get("weight") is not None and recipe.norm_mode == "group_norm":
            weight, bias = norm.need("weight"), norm.get("bias")
            x = F.group_norm(x.T[None], len(weight), weight, bias, TORCH_EPS)[0].T
        elif norm.get("weight") is not None:
            x = norm.norm(x, TORCH_EPS)
        x = F.gelu(x)
    return part.below("final_norm").norm(x, TORCH_EPS) if recipe.normalizes_output else x


def _positions(part: Part, x: Tensor) -> Tensor:
    """Convolution whose kernel positions have a length each, cut to as many frames as before, and GELU."""
    if part.get("parametrizations.weight.original1") is None:  # of torch before 2.1
        lengths, directions = part.need("weight_g"), part.need("weight_v")
    else:
        lengths, directions = (part.need(f"parametrizations.weight.original{number}") for number in (0, 1))
    weight = directions * (lengths / directions.square().sum((0, 1), keepdim=True).sqrt())
    dim, width, kernel = weight.shape
    positions = F.conv1d(x.T[None], weight, part.get("bias"), padding=kernel // 2, groups=dim // width)[0].T
    return F.gelu(positions[: len(x)])


def _transformer(part: Part, recipe: Recipe, x: Tensor, offsets: Tensor | None) -> Tensor:
    """`transformer.encoder_layer.EncoderLayer`, norms before or after each half."""
    one, other = part.below("norm1").norm, part.below("norm2").norm
    if recipe.normalizes_before:
        x = x + _attention(part.below("self_attn"), recipe, one(x), offsets)
        return x + _feed_forward(part.below("feed_forward"), other(x), F.relu)
    x = one(x + _attention(part.below("self_attn"), recipe, x, offsets))
    return other(x + _feed_forward(part.below("feed_forward"), x, F.relu))


def _e_branchformer(part: Part, recipe: Recipe, x: Tensor, offsets: Tensor | None) -> Tensor:
    """`EBranchformerEncoderLayer` with both feed-forward parts."""
    x = x + 0.5 * _feed_forward(part.below("feed_forward_macaron"), part.below("norm_ff_macaron").norm(x), F.silu)
    attended = _attention(part.below("attn"), recipe, part.below("norm_mha").norm(x), offsets)
    inner = F.gelu(part.below("cgmlp.channel_proj1.0").linear(part.below("norm_mlp").norm(x)))
    content, gate = inner.chunk(2, dim=-1)
    gate = part.below("cgmlp.csgu.conv").depthwise(part.below("cgmlp.csgu.norm").norm(gate))
    both = torch.cat([attended, part.below("cgmlp.channel_proj2").linear(content * gate)], dim=-1)
    x = x + part.below("merge_proj").linear(both + part.below("depthwise_conv_fusion").depthwise(both))
    x = x + 0.5 * _feed_forward(part.below("feed_forward"), part.below("norm_ff").norm(x), F.silu)
    return part.below("norm_final").norm(x)


def _conformer(part: Part, recipe: Recipe, x: Tensor, offsets: Tensor | None) -> Tensor:
    """`conformer.encoder_layer.EncoderLayer` in macaron style with its convolution, norms before each part."""
    x = x + 0.5 * _feed_forward(part.below("feed_forward_macaron"), part.below("norm_ff_macaron").norm(x), F.silu)
    x = x + _attention(part.below("self_attn"), recipe, part.below("norm_mha").norm(x), offsets)
    module = part.below("conv_module")
    inner = F.glu(module.below("pointwise_conv1").conv(part.below("norm_conv").norm(x)), dim=-1)
    inner, norm = module.below("depthwise_conv").depthwise(inner), module.below("norm")
    mean, variance = norm.get("running_mean"), norm.get("running_var")
    inner = F.silu(F.batch_norm(inner, mean, variance, norm.get("weight"), norm.get("bias"), eps=TORCH_EPS))
    x = x + module.below("pointwise_conv2").conv(inner)
    x = x + 0.5 * _feed_forward(part.below("feed_forward"), part.below("norm_ff").norm(x), F.silu)
    return part.below("norm_final").norm(x)


def _feed_forward(part: Part, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    return part.below("w_2").linear(activation(part.below("w_1").linear(x)))


def _attention(part: Part, recipe: Recipe, x: Tensor, offsets: Tensor | None) -> Tensor:
    """`MultiHeadedAttention`, or with offsets `RelPositionMultiHeadedAttention`: every frame sees every frame."""
    num_frames, num_heads = len(x), recipe.num_heads

    def heads(name: str, frames: Tensor) -> Tensor:
        """(frames, width) -> (heads, frames, width / heads)."""
        split: Tensor = part.below(name).linear(frames).unflatten(-1, (num_heads, -1))
        return split.transpose(0, 1)

    query, key, value = heads("linear_q", x), heads("linear_k", x), heads("linear_v", x)
    if offsets is None:
        scores = query @ key.transpose(1, 2)
    else:
        placed = (query + part.need("pos_bias_v")[:, None]) @ heads("linear_pos", offsets).transpose(1, 2)
        frame = torch.arange(num_frames)
        rows = num_frames - 1 - frame[:, None] + frame  # row r is the distance num_frames - 1 - r
        content = (query + part.need("pos_bias_u")[:, None]) @ key.transpose(1, 2)
        scores = content + placed.gather(2, rows.expand(num_heads, -1, -1))
    mixed = (scores / math.sqrt(query.size(-1))).softmax(-1) @ value
    return part.below("linear_out").linear(mixed.transpose(0, 1).flatten(1))


def _sinusoids(num_frames: int, width: int) -> Tensor:
    """`RelPositionalEncoding`: (2 * frames - 1, width), from frames - 1 (the key comes first) down to 1 - frames."""
    distance = torch.arange(num_frames - 1, -num_frames, -1, dtype=torch.float32)[:, None]
    angles = distance * torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * -(math.log(10000.0) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
