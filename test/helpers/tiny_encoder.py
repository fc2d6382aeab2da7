"""A name and a few keys in, an encoder that runs in milliseconds out."""

import torch

from espnet2.ssl.encoder import encoder_class
from espnet2.ssl.encoder.base import Encoder
from espnet2.utils.config import parse_config

SMALL = {
    "num_layers": 3, "dim": 16, "num_heads": 2, "ffn_dim": 32, "position_kernel": 7, "position_groups": 4,
    "dropout": 0.0, "attention_dropout": 0.0, "layerdrop": 0.0,
}  # fmt: skip
CONF_OF_ENCODER = {
    "conformer": {"conv_kernel": 5},
    "e_branchformer": {"cgmlp_dim": 24, "cgmlp_conv_kernel": 5, "merge_conv_kernel": 3},
}


def tiny_conf(name: str, **conf) -> dict:
    """`encoder_conf` of a tiny encoder."""
    return SMALL | CONF_OF_ENCODER.get(name, {}) | conf


def tiny_encoder(name: str, **conf) -> Encoder:
    """An encoder in evaluation mode whose norms, biases and skips are no special values."""
    cls = encoder_class(name)
    torch.manual_seed(0)
    encoder = cls(parse_config(cls.Config, tiny_conf(name, **conf), "encoder_conf")).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return encoder
