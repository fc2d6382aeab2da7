"""The training keys of a config file, typed, checked and frozen."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from espnet2.data.augment.augment import AugmentConfig
from espnet2.ssl.adapt import AdaptKind, LoraConfig
from espnet2.train.optimizer import AdamWConfig, optimizer_config
from espnet2.train.sampling_config import SamplingConfig
from espnet2.train.scheduler import ScheduleConfig, schedule_config
from espnet2.train.tracking import check_names
from espnet2.utils.config import Config, Tag, parse_config, parse_section, tagged
from espnet2.utils.errors import UserError

_RESUME, _CURVE = tagged(Tag.FREE_ON_RESUME), tagged(Tag.NO_CURVE)
_FREE = tagged(Tag.FREE_ON_RESUME, Tag.NO_CURVE)


class ProbeConfig(Config):
    """What is measured at each validation besides the loss: see `espnet2.pretrain.probe`."""

    enabled: bool = Field(True, description="false: no probe")
    seconds: float = Field(120.0, gt=0, description="of the valid set, at most: bounds the cost")
    num_clusters: int = Field(50, ge=2, description="units of the quick k-means")
    layer: int | None = Field(None, ge=1, description="1-based; default: two thirds of the depth")


class Criterion(NamedTuple):
    """One entry of `best_model_criterion`, as in ESPnet: [valid, masked_accuracy, max]."""

    dataset: Literal["train", "valid"]
    stat: str
    mode: Literal["min", "max"]


class TrainConfig(Config):
    """Everything the trainer and the loader obey; the model's sections are in `espnet2.tasks.config.SSLConfig`."""

    # batches
    batch_type: Literal["numel"] = Field(
        "numel", description="batches are measured in samples, padding included", json_schema_extra=_CURVE
    )
    batch_bins: int = Field(
        1_000_000, gt=0, description="samples of one micro-step over all ranks", json_schema_extra=_FREE
    )
    accum_grad: int = Field(1, ge=1, description="micro-steps per update", json_schema_extra=_FREE)
    max_bins_per_gpu: Annotated[int, Field(gt=0)] | Literal["auto"] | None = Field(
        None,
        description="samples one rank can hold; beyond it, accumulate; auto: what fits into the GPU's memory",
        json_schema_extra=_FREE,
    )
    quadratic_seconds: float | None = Field(
        None,
        gt=0,
        description="attention's cost: t seconds count as t + t^2 / this in batch_bins; none: as t",
        json_schema_extra=_CURVE,
    )
    valid_batch_bins: int | None = Field(
        None,
        gt=0,
        description="samples of one validation batch (default: 80 s), for any number of ranks",
        json_schema_extra=_FREE,
    )
    crop: Literal["pad", "shortest"] = Field("pad", description="pad a batch to its longest, or crop to its shortest")
    max_seconds: float = Field(20.0, gt=0, description="longer utterances are cropped at random, in training only")
    min_seconds: float = Field(0.0, ge=0, description="shorter utterances are left out of training")
    sampling: SamplingConfig = Field(
        SamplingConfig(), description="weights of the training sets or languages; the order of reading"
    )
    augment: AugmentConfig = Field(AugmentConfig(), description="noise, rooms, mixing, speed; of training audio only")
    augment_sets: dict[str, AugmentConfig] = Field(
        {}, description="training set -> its own `augment`, instead of the one of all; `{}` is clean audio"
    )
    allow_rate_reduction: bool = Field(False, description="accept labels of a higher rate than frames")
    num_workers: int = Field(
        2, ge=0, description="loader processes per rank; 0 loads in the training process", json_schema_extra=_FREE
    )

    # length of the run
    max_update: int | None = Field(None, gt=0, description="optimizer steps of the whole run", json_schema_extra=_FREE)
    max_epoch: int | None = Field(
        None, gt=0, description="passes over the data; the smaller limit holds", json_schema_extra=_FREE
    )
    patience: int | None = Field(
        None, gt=0, description="stop after so many validations without a gain", json_schema_extra=_FREE
    )
    seed: int = Field(0, ge=0, description="of weights, order, crops, masks and dropout", json_schema_extra=_CURVE)

    # optimisation
    optim: Literal["adamw"] = Field("adamw", description="decoupled weight decay")
    optim_conf: AdamWConfig = Field(
        {}, validate_default=True, description="lr, betas, eps, weight_decay, decay_norm_and_bias, layer_decay"
    )
    scheduler: Literal["warmuplr", "linear", "tristage", "cosine", "constant"] = Field(
        "linear", description="curve of the learning rate over the run"
    )
    scheduler_conf: SerializeAsAny[ScheduleConfig] = Field(
        {}, validate_default=True, description="keys of that curve: warmup_steps, final_factor, ..."
    )
    grad_clip: float = Field(10.0, gt=0, description="largest global L2 norm of the gradient")
    max_nonfinite: int = Field(
        20, ge=1, description="non-finite updates in a row after which the run stops", json_schema_extra=_FREE
    )
    init_param: tuple[str, ...] = Field(
        (), description="<file or exp dir>[:<source>[:<target>[:<exclude>]]]", json_schema_extra=_RESUME
    )
    init_from: str | None = Field(
        None, description="start from this whole model: exp/<name>, hf:<user>/<name>, a file", json_schema_extra=_RESUME
    )
    init_loss_conf: bool = Field(
        False,
        description="keys that a loss conf leaves out come from the model of init_from, if it has that loss",
        json_schema_extra=_RESUME,
    )
    freeze_param: tuple[str, ...] = Field((), description="parameters whose names start so are not trained")
    freeze_param_updates: int | None = Field(
        None, gt=0, description="freeze_param holds for the first so many updates (default: throughout)"
    )
    adapt: AdaptKind = Field("none", description="lora: differences of low rank to weights of the encoder are trained")
    adapt_conf: LoraConfig = Field(LoraConfig(), description="rank, alpha, dropout, targets, alone")

    # machine
    dtype: Literal["bf16", "fp16", "fp32"] = Field(
        "bf16",
        description="of autocast; a CPU computes in bf16 where it has units for it (AMX), else in fp32",
        json_schema_extra=_CURVE,
    )
    compile: bool | Literal["auto", "whole"] = Field(
        "auto",
        description="torch.compile of the encoder's blocks; whole: of all from waveform to loss, as one graph; auto: "
        "whole on a GPU (without fsdp, nor in conformers), else nothing",
        json_schema_extra=_FREE,
    )
    fsdp: bool = Field(False, description="shard weights and optimizer over the ranks (FSDP2)", json_schema_extra=_FREE)
    fsdp_ranks: int | None = Field(
        None,
        gt=0,
        description="of fsdp: so many ranks share one copy, such as those of a node (none: all share one)",
        json_schema_extra=_FREE,
    )
    grad_reduction: Literal["fp32", "bf16"] = Field(
        "fp32", description="type in which gradients are added up over ranks; bf16: half the bytes"
    )
    read_late: bool | Literal["auto"] = Field(
        "auto",
        description="see one update late whether one was finite, so that the GPU never waits; auto: on a GPU",
        json_schema_extra=_FREE,
    )
    num_threads: int | None = Field(
        None, gt=0, le=1024, description="of the training process; checkpoints record it", json_schema_extra=_FREE
    )

    # reporting and checkpoints
    log_interval_updates: int = Field(100, gt=0, description="updates per line of the log", json_schema_extra=_FREE)
    valid_interval_updates: int = Field(
        1000, gt=0, description="updates between validations (each saves a checkpoint)", json_schema_extra=_FREE
    )
    probe: ProbeConfig = Field(
        ProbeConfig(), description="units of one layer at each validation: quality is seen", json_schema_extra=_FREE
    )
    reference: str = Field(
        "auto", description="curves to compare with: none, a file, or reference/<config>.json", json_schema_extra=_FREE
    )
    tracker: tuple[str, ...] = Field(
        ("tensorboard",),
        description="tools that show the run: tensorboard, wandb, mlflow, trackio; or none",
        json_schema_extra=_FREE,
    )
    save_interval_minutes: float = Field(15.0, gt=0, description="minutes between checkpoints", json_schema_extra=_FREE)
    save_interval_updates: int | None = Field(
        None, gt=0, description="also save after so many updates", json_schema_extra=_FREE
    )
    save_in_background: bool | Literal["auto"] = Field(
        "auto",
        description="train on while a checkpoint is written from a copy on the host; auto: on a GPU",
        json_schema_extra=_FREE,
    )
    keep_nbest_models: int = Field(
        1, ge=1, description="kept by each criterion, averaged at the end", json_schema_extra=_FREE
    )
    best_model_criterion: tuple[Criterion, ...] = Field(
        (Criterion("valid", "loss", "min"),),
        min_length=1,
        description="ESPnet's form: [[valid, masked_accuracy, max]]",
        json_schema_extra=_FREE,
    )

    @property
    def max_speed(self) -> float:
        """The highest at which augmentation plays any training set: it needs the most audio."""
        return max(part.max_speed for part in (self.augment, *self.augment_sets.values()))

    @classmethod
    def filled(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """An older dump of such a config with every key that came later at its default.

        Raises:
            UserError: it holds keys or values that are no more.
        """
        return parse_config(cls, values, "config")

    @field_validator("optim_conf", mode="before")
    @classmethod
    def _parse_optim(cls, value: object, info: ValidationInfo) -> AdamWConfig:
        name = info.data.get("optim", "adamw")
        return parse_section(optimizer_config(name), value, f"optim_conf ({name})")

    @field_validator("scheduler_conf", mode="before")
    @classmethod
    def _parse_scheduler(cls, value: object, info: ValidationInfo) -> ScheduleConfig:
        name = info.data.get("scheduler", "linear")
        return parse_section(schedule_config(name), value, f"scheduler_conf ({name})")

    @field_validator("augment_sets", mode="before")
    @classmethod
    def _accept_empty(cls, value: object) -> object:
        """`train_a:` with nothing below it is clean audio."""
        return {name: part or {} for name, part in value.items()} if isinstance(value, dict) else value

    @field_validator("init_param", "freeze_param", mode="before")
    @classmethod
    def _accept_one(cls, value: object) -> object:
        """One string is a list of one, as on ESPnet's command line."""
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("tracker", mode="before")
    @classmethod
    def _split_trackers(cls, value: object) -> object:
        """`wandb tensorboard`, with blanks or commas, is a list of two; YAML reads a bare `none` as that word."""
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("tracker")
    @classmethod
    def _check_trackers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_names(value)
        return value

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Files and hashes of trainings without adapters, and so on, are those of the time before there were any."""
        values: dict[str, object] = dump(self)
        unused = {"adapt", "adapt_conf"} if self.adapt == "none" else set()
        unused |= {"grad_reduction"} if self.grad_reduction == "fp32" else set()
        return {key: value for key, value in values.items() if key not in unused}

    @model_validator(mode="after")
    def _check_length(self) -> "TrainConfig":
        if self.min_seconds > self.max_seconds:
            raise UserError(f"config: min_seconds {self.min_seconds} is larger than max_seconds {self.max_seconds}")
        if self.freeze_param_updates is not None:
            if not self.freeze_param:
                raise UserError("config: freeze_param_updates says how long, but not what; give freeze_param, too")
            if self.fsdp:  # parts of an optimizer that has not met all parameters yet cannot be put together again
                raise UserError("config: freeze_param_updates does not go with fsdp; leave one of them out")
        return self
