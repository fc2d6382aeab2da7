"""The weights of our frontend and encoder in, those of transformers' Data2VecAudioModel out."""

import torch
from hubert_weights import to_transformers
from transformers import Data2VecAudioConfig, Data2VecAudioModel

from espnet2.ssl.model import SSLModel


def same_data2vec_audio(model: SSLModel, *, mask_embedding: torch.Tensor) -> Data2VecAudioModel:
    """A Data2VecAudioModel with the weights of a model whose positions are a stack of convolutions, without ALiBi."""
    encoder, frontend = model.encoder, model.frontend
    block = encoder.blocks[0]
    config = Data2VecAudioConfig(
        hidden_size=encoder.dim,
        num_hidden_layers=encoder.num_layers,
        num_attention_heads=block.attention.num_heads,
        intermediate_size=block.ffn_in.out_features,
        conv_dim=[frontend.feature_dim] * 7,
        num_conv_pos_embedding_groups=encoder.position.convs[0].groups,
        conv_pos_kernel_size=encoder.position.convs[0].kernel_size[0],
        num_conv_pos_embeddings=len(encoder.position.convs),
        attn_implementation="eager",
    )
    shared = {name: value for name, value in model.state_dict().items() if not name.startswith("objectives.")}
    renamed = to_transformers(shared)
    other = Data2VecAudioModel(config).eval()
    other.load_state_dict(renamed | {"masked_spec_embed": mask_embedding})
    return other
