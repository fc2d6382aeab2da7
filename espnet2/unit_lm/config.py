"""The keys of a unit language model: `UnitLmConfig`, checked and frozen, and how it is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from espnet2.tasks.config import load_train_config
from espnet2.train.config import Criterion, TrainConfig
from espnet2.train.optimizer import AdamWConfig
from espnet2.utils.config import Config, Tag, tagged
from espnet2.utils.errors import UserError

_FREE = tagged(Tag.FREE_ON_RESUME)


class DecoderConfig(Config):
    """The size of the decoder; the defaults train in minutes on two cores."""

    num_layers: int = Field(4, gt=0, description="blocks")
    dim: int = Field(192, gt=0, description="width of a token")
    num_heads: int = Field(4, gt=0, description="of attention; dim must be a multiple of twice this")
    ffn_dim: int = Field(768, gt=0, description="width inside a block's feed-forward")
    dropout: float = Field(0.1, ge=0, lt=1, description="of embeddings and behind each half of a block")


class UnitLmConfig(TrainConfig):
    """What the trainer obeys, and the decoder. Where `TrainConfig` says samples, these are tokens."""

    batch_bins: int = Field(8192, gt=0, description="tokens of one micro-step over all ranks", json_schema_extra=_FREE)
    max_tokens: int = Field(512, gt=1, description="longer utterances are cut into pieces of so many tokens")
    decoder_conf: DecoderConfig = Field(DecoderConfig(), description="num_layers, dim, num_heads, ffn_dim, dropout")
    optim_conf: AdamWConfig = Field(
        {"lr": 1.0e-3, "weight_decay": 0.1}, validate_default=True, description="as in training"
    )
    scheduler: Literal["warmuplr", "linear", "tristage", "cosine", "constant"] = Field("cosine")
    max_update: int | None = Field(1000, gt=0, description="optimizer steps of the whole run", json_schema_extra=_FREE)
    grad_clip: float = Field(1.0, gt=0, description="largest global L2 norm of the gradient")
    best_model_criterion: tuple[Criterion, ...] = Field(
        (Criterion("valid", "loss", "min"),), min_length=1, description="as in training", json_schema_extra=_FREE
    )


def load_unit_lm_config(path: str | Path | None, overrides: Sequence[str] = ()) -> UnitLmConfig:
    """Read, override and check.

    Raises:
        UserError: an unknown key, a wrong value, or what cannot go with tokens.
    """
    config = load_train_config(UnitLmConfig, path, overrides, "unit language model")
    refused = {
        "crop: shortest": config.crop != "pad",
        "augment": config.augment != type(config.augment)(),
        "init_param or init_from": bool(config.init_param or config.init_from),
        "fsdp": config.fsdp,
    }
    for name, is_given in refused.items():
        if is_given:
            raise UserError(f"{path or 'unit language model'}: {name} does not go with tokens; leave it out")
    decoder = config.decoder_conf
    if decoder.dim % (2 * decoder.num_heads):
        raise UserError(f"decoder_conf: dim {decoder.dim} is no multiple of twice num_heads {decoder.num_heads}")
    return config
