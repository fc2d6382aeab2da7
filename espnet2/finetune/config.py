"""The keys of a fine-tuning: `FinetuneConfig`, checked and frozen, and how it is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from espnet2.finetune.beam import BeamConfig
from espnet2.tasks.config import load_train_config
from espnet2.text.ctc import TextRules
from espnet2.train.config import Criterion, TrainConfig
from espnet2.train.optimizer import AdamWConfig
from espnet2.utils.config import Tag, tagged
from espnet2.utils.errors import UserError

_AFTERWARDS = tagged(Tag.FREE_ON_RESUME)  # the same command with another value decodes anew and trains no more


class FinetuneConfig(TrainConfig):
    """What the trainer obeys, with the defaults of wav2vec 2.0's fine-tuning (paper, section 4.3), and the text's keys.

    `max_seconds` leaves longer utterances out here: half an utterance does not fit its transcript.
    """

    optim_conf: AdamWConfig = Field(
        {"lr": 5.0e-5, "weight_decay": 0.0}, validate_default=True, description="as in training"
    )
    scheduler: Literal["warmuplr", "linear", "tristage", "cosine", "constant"] = Field("tristage")
    best_model_criterion: tuple[Criterion, ...] = Field(
        (Criterion("valid", "token_error_rate", "min"),),
        min_length=1,
        description="ESPnet's form; the first says which checkpoint is the best",
        json_schema_extra=tagged(Tag.FREE_ON_RESUME, Tag.NO_CURVE),
    )
    compile: bool | Literal["auto", "whole"] = Field(
        False,  # validation counts token errors on the host, which is in no graph
        description="torch.compile, as in training",
        json_schema_extra=tagged(Tag.FREE_ON_RESUME, Tag.NO_CURVE),
    )
    result: Literal["best", "last"] = Field(
        "best", description="the checkpoint that becomes the tuned model", json_schema_extra=_AFTERWARDS
    )
    decode: Literal["greedy", "beam"] = Field(
        "greedy", description="beam: also a beam search, with an n-gram model if given", json_schema_extra=_AFTERWARDS
    )
    decode_conf: BeamConfig = Field(
        BeamConfig(), description="of beam: lm, beam, lm_weight, word_score", json_schema_extra=_AFTERWARDS
    )
    freeze_encoder_updates: int | None = Field(
        None, ge=0, description="only the output layer learns so long (default: a tenth of max_update)"
    )
    freeze_frontend_updates: int | None = Field(
        None, ge=0, description="the layers below the projection stay as they are so long (default: throughout)"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="of the last layer, before the output layer")
    token_type: Literal["char", "bpe", "phn"] = Field("char", description="as in stage 5")
    token_list: Path | None = Field(None, description="of stage 5 (default: made of the training transcripts)")
    bpe_model: Path | None = Field(None, description="of stage 5, beside a token list of bpe")
    nbpe: int = Field(100, gt=3, description="pieces, where the sentencepiece model is made here")
    cleaner: str = Field("none", description="none or tacotron, as in stage 5")
    g2p: str = Field("none", description="of phn: g2p_en; none: the phones of the sets' phones.ctm")
    plain_text: bool = Field(True, description="lower case, without punctuation")

    @property
    def rules(self) -> TextRules:
        """What is done to texts."""
        return TextRules(self.token_type, self.plain_text, self.cleaner, self.g2p, self.nbpe)


def load_finetune_config(path: str | Path | None, overrides: Sequence[str] = ()) -> FinetuneConfig:
    """Read, override and check.

    Args:
        path: a YAML file; None starts from the defaults.
        overrides: command-line words: `--max_update 1000 --optim_conf lr=1e-4`.

    Raises:
        UserError: an unknown key, a wrong value, or what cannot go with transcripts.
    """
    config = load_train_config(FinetuneConfig, path, overrides, "fine-tuning")
    refused = {
        "crop: shortest": config.crop != "pad",
        "augment: speed": any(part.speed for part in (config.augment, *config.augment_sets.values())),
        "init_param or init_from": bool(config.init_param or config.init_from),
        "fsdp": config.fsdp,
    }
    for name, is_given in refused.items():
        if is_given:
            raise UserError(
                f"{path or 'fine-tuning'}: {name} does not go with fine-tuning: utterances stay whole beside their "
                "transcripts, the model comes from --model, every rank holds all of it; leave it out"
            )
    return config
