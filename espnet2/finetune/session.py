"""The run of a fine-tuning, from its checks to exp/<name> with the tuned model and its error rates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors.torch import save

from espnet2.finetune.beam import BeamDecoder
from espnet2.finetune.config import FinetuneConfig
from espnet2.finetune.ctc_objective import ENTRY, CtcObjective, Freezing
from espnet2.finetune.data import Texts, TranscribedDataset, check_rate, make_tuning_data
from espnet2.finetune.recognise import GREEDY, Recognised, describe_rates, recognise
from espnet2.launch.signals import StopSignals
from espnet2.models.adapter import difference, encoding_hash, write_adapter
from espnet2.models.find import ModelFiles
from espnet2.models.load import LoadedModel, load_model
from espnet2.ssl.adapt import adapt_model, describe_adapters, merge_adapters
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import count_parameters, read_weights, teacher_names
from espnet2.tasks.config import dump_config
from espnet2.tasks.portable import portable_config
from espnet2.text.ctc import CtcTokens, require_jiwer
from espnet2.text.token_list import write_token_list
from espnet2.train.checkpoint import MODEL_FILE, CheckpointFolder
from espnet2.train.data import TrainingData, plan_steps
from espnet2.train.distributed import Ranks
from espnet2.train.freeze import freeze_parameters
from espnet2.train.layer_decay import describe_factors
from espnet2.train.prepared_run import CHECKPOINTS, PreparedRun, finish_run
from espnet2.train.run import default_threads, seed_all, total_updates
from espnet2.train.state import TrainState, ranking
from espnet2.utils.clock import format_seconds
from espnet2.utils.files import atomic_write, write_json

LAST = "last"  # checkpoint
RUN = "ctc"  # folder of exp/<name>: checkpoints to resume from, log, token list, what was heard
ADAPTER = "adapter.safetensors"  # of exp/<name>, with `adapt: lora`
FREEZE_SHARE = 0.1  # of all updates: about what wav2vec 2.0 freezes the encoder for on 100 h


@dataclass(frozen=True)
class TuningRequest:
    """What is tuned, on what, and where it goes."""

    model: ModelFiles
    train_sets: Sequence[str]
    valid_sets: Sequence[str]
    test_sets: Sequence[str]  # that error rates are of; none: of the valid sets
    output_dir: Path  # exp/<name>: afterwards `load_model` and SpeechEncoder read it as they read the model


def finetune(
    config: FinetuneConfig,
    request: TuningRequest,
    ranks: Ranks,
    stop: StopSignals,
) -> bool:
    """Tune, or go on tuning; True when the run is complete and exp/<name>/wer.json is there.

    The checkpoint that is best on the valid sets is the result, or the last (`result`). Error rates of the valid sets
    are a little too good then: those of `test_sets` are not.

    Raises:
        UserError: no transcripts, no jiwer, no such n-gram model, or what is in exp/<name> is another run.
    """
    require_jiwer()  # now, not when hours of training are over
    run_dir = request.output_dir / RUN
    torch.set_num_threads(config.num_threads or default_threads(ranks))
    train, valid = Texts.open(request.train_sets, config.rules), Texts.open(request.valid_sets, config.rules)
    test = Texts.open(request.test_sets, config.rules) if request.test_sets else valid
    tokens = _tokens(config, train, run_dir / f"{config.token_type}.{ranks.rank}.model")
    words = (word for text in train.texts for word in text.split())
    beam = BeamDecoder.open(config.decode_conf, tokens, words) if config.decode == "beam" else None
    loaded = load_model(request.model)
    teachers = teacher_names(loaded.model)  # before more than these is frozen
    seed_all(config.seed)
    steps = plan_steps(config, ranks.world_size)
    data, notes = make_tuning_data(config, train, valid, tokens, loaded.model.frontend, steps)
    check_rate(test, loaded.model.frontend.geometry)
    max_update = total_updates(config, data.sampler, steps)
    model = _tuned_model(config, loaded, len(tokens.symbols), max_update).to(ranks.device)
    run = Tuning(
        config=config,
        model=model,
        data=data,
        steps=steps,
        max_update=max_update,
        hashes={"model": loaded.hash, "train": train.hash, "valid": valid.hash, "tokens": tokens.hash},
        directory=run_dir,
        request=request,
        loaded=loaded,
        teachers=teachers,
        test=test,
        beam=beam,
        tokens=tokens,
        notes=notes,
        device=ranks.device,
    )
    return finish_run(run, ranks, stop)


@dataclass(frozen=True, kw_only=True)
class Tuning(PreparedRun):
    """A training of `ssl_finetune`, which the same command goes on with."""

    config: FinetuneConfig
    request: TuningRequest
    loaded: LoadedModel  # that is tuned
    teachers: set[str]  # names of its weights that are no part of the result
    test: Texts
    beam: BeamDecoder | None
    tokens: CtcTokens
    notes: Sequence[str]  # about the data, for the log
    device: torch.device

    @property
    def model_folder(self) -> Path:
        return self.request.output_dir

    def begin(self, update: int) -> None:
        write_token_list(self.directory / "tokens.txt", self.tokens.symbols, specials=True)

    def describe(self) -> list[str]:
        rates = describe_factors(self.model, self.config.optim_conf.layer_decay)
        adapters = describe_adapters(self.config.adapt, self.config.adapt_conf, self.model.encoder)
        return [*_describe(self.request, self.model, self.data, self.tokens), *adapters, *rates, *self.notes]

    def describe_stop(self, update: int, seconds: float) -> str:
        return f"saved at update {update}; the same command goes on"

    def finish(self, state: TrainState) -> str:
        """Write the tuned model and the error rates."""
        update, chosen = self._load_result(state)
        recognised = recognise(
            self.model,
            cast(TranscribedDataset, self.data.valid),
            self.test,
            self.tokens,
            self.beam,
            device=self.device,
            longest_batch=max(item.num_samples * len(item.rows) for item in self.data.valid_shards),
            folder=self.directory,
        )
        contents = {
            "model": self.request.model.name,
            "valid_sets": list(self.request.valid_sets),
            "test_sets": list(self.request.test_sets),
            "token_type": self.config.token_type,
            "updates": state.update,
            "checkpoint": f"update_{update}",
            **recognised.greedy,
            **({"beam": recognised.beam} if recognised.beam else {}),
            "num_utterances": recognised.num_utterances,
        }
        output_dir = self.request.output_dir
        write_encoder(self.loaded, self.teachers, output_dir)
        self._write_adapter()
        write_json(output_dir / "wer.json", contents)
        return f"done in {format_seconds(state.train_seconds)}: {describe_result(self.request, recognised, chosen)}"

    def _load_result(self, state: TrainState) -> tuple[int, str]:
        """Put the chosen checkpoint's weights into the model: its update, and in words which it is.

        The last one, too, where no validation gave the figure that chooses.
        """
        folder = CheckpointFolder(self.directory / CHECKPOINTS)
        ranked = ranking(state.validations, self.config.best_model_criterion[0])
        kept = [update for update in ranked if folder.path(update).exists()]
        if self.config.result == LAST or not kept:
            return state.update, LAST
        self.model.load_state_dict(read_weights(folder.path(kept[0]) / MODEL_FILE))
        return kept[0], f"best (update {kept[0]})"

    def _write_adapter(self) -> None:
        """The adapters apart, where the model itself stayed as it came."""
        conf = self.config.adapt_conf
        if self.config.adapt == "none" or not conf.alone:
            return
        base, files = merge_adapters(read_weights(self.loaded.files.weights)), self.loaded.files
        kept = difference(self.loaded.model.state_dict(), base, f"{self.request.output_dir} beside {files.name}")
        write_adapter(self.request.output_dir / ADAPTER, kept, files.name, encoding_hash(base), conf)


def describe_result(request: TuningRequest, recognised: Recognised, chosen: str) -> str:
    """How good the chosen checkpoint is, and where to look."""
    output, sets = request.output_dir, request.test_sets or request.valid_sets
    beam = f"; beam search: {describe_rates(recognised.beam)}" if recognised.beam else ""
    same = (
        "" if request.test_sets or chosen == LAST else " (it was chosen on these utterances: --test_sets names others)"
    )
    return (
        f"error rates of {recognised.num_utterances:,} utterances of {', '.join(sets)}, {chosen} checkpoint{same}: "
        f"{describe_rates(recognised.greedy)}{beam} ({output}/wer.json); what was heard: {output}/{RUN}/{GREEDY}; the "
        f"tuned model: {output}"
    )


def _tokens(config: FinetuneConfig, train: Texts, bpe_model: Path) -> CtcTokens:
    if config.token_list is not None:
        return CtcTokens.of_list(config.token_list, config.rules, config.bpe_model)
    return CtcTokens.of_texts([text for text in train.texts if text], config.rules, bpe_model)


def _tuned_model(config: FinetuneConfig, loaded: LoadedModel, num_symbols: int, max_update: int) -> SSLModel:
    """The trained frontend and encoder under a new output layer."""
    encoder_updates = config.freeze_encoder_updates
    if encoder_updates is None:
        encoder_updates = round(FREEZE_SHARE * max_update)
    adapt_model(config.adapt, config.adapt_conf, loaded.model.frontend, loaded.model.encoder)
    freezing = Freezing(encoder_updates, config.freeze_frontend_updates)
    objective = CtcObjective(loaded.model.first, num_symbols, freezing, config.dropout)
    model = SSLModel(loaded.model.frontend, loaded.model.encoder, {ENTRY: objective}, {ENTRY: 1.0})
    freeze_parameters(model, config.freeze_param, config.freeze_param_updates)
    return model


def _describe(request: TuningRequest, model: SSLModel, data: TrainingData, tokens: CtcTokens) -> list[str]:
    rate = data.train.index.sample_rate
    minutes = [
        float(np.sum(np.asarray(index.num_samples)[rows], dtype=np.int64)) / rate / 60
        for index, rows in (
            (data.train.index, data.sampler.rows),
            (data.valid.index, np.concatenate([shard.rows for shard in data.valid_shards])),
        )
    ]
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    freezing = cast(CtcObjective, model.first).freezing
    features = freezing.frontend_updates
    return [
        f"fine-tuning {request.model.name}: {count_parameters(model):,} parameters, {trained:,} trained; "
        f"{len(tokens.symbols)} {tokens.token_type} tokens",
        f"train: {len(data.sampler.rows):,} utterances, {minutes[0]:.1f} minutes; valid: {minutes[1]:.1f} minutes",
        f"only the output layer learns for {freezing.encoder_updates} updates; features stay as they are "
        + ("throughout" if features is None else f"for {features}"),
    ]


def write_encoder(loaded: LoadedModel, teachers: set[str], output_dir: Path) -> None:
    """Write the tuned frontend and encoder as a model of its old objective, as `pack_model` does: no teachers."""
    state = {name: value.detach().cpu() for name, value in loaded.model.state_dict().items() if name not in teachers}
    weights = {name: value.contiguous() for name, value in merge_adapters(state).items()}
    with atomic_write(output_dir / "config.yaml") as stream:
        stream.write(dump_config(portable_config(loaded.config)))
    with atomic_write(output_dir / "model.safetensors", "wb") as stream:
        stream.write(save(weights, {"format": "pt"}))
