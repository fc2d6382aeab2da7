"""The keys of `sampling:`: how often groups of utterances are seen, and in which order."""

from typing import Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from espnet2.utils.config import Config

Factors = dict[str, float]  # name of a group -> how many times its share is multiplied


def _checked(weights: Factors) -> Factors:
    for name, factor in weights.items():
        if not 0 <= factor < float("inf"):
            raise ValueError(f"the weight of {name} is {factor}: expected 0 or more")
    return weights


class ScheduledWeights(Config):
    """Weights that hold from one pass on; a key that is left out keeps its value of the entry before."""

    from_epoch: int = Field(ge=1, description="pass over the data, from 0, that begins with these weights")
    alpha: float | None = Field(None, ge=0, le=1, description="as `sampling.alpha`")
    lang_alpha: float | None = Field(None, ge=0, le=1, description="as `sampling.lang_alpha`")
    weights: Factors | None = Field(None, description="as `sampling.weights`; the same names as before")

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: Factors | None) -> Factors | None:
        return None if weights is None else _checked(weights)


BUFFER_UTTERANCES = 16_384


class SamplingConfig(Config):
    """How often each group of utterances is seen: in proportion to weight * (its hours)^alpha; and in which order."""

    by: Literal["set", "lang", "set_lang"] = Field(
        "set",
        description="groups: training sets, languages of utt2lang, or languages inside each set (two levels)",
    )
    alpha: float = Field(1.0, ge=0, le=1, description="1: as in the data; 0: every group alike; 0.5: XLS-R, section 3")
    lang_alpha: float = Field(
        1.0, ge=0, le=1, description="of `set_lang`: of the languages inside a set; `alpha` is of the sets (MMS)"
    )
    weights: Factors = Field({}, description="set or language -> its share is multiplied by this; 0 leaves it out")
    schedule: tuple[ScheduledWeights, ...] = Field((), description="other weights from some passes on")
    change: Literal["steps", "linear"] = Field("steps", description="from one entry of the schedule to the next")
    shuffle: Literal["utterances", "shards"] = Field(
        "utterances", description="shards: what lies together in ark, tar, Parquet or folder is read together"
    )
    buffer_utterances: int = Field(BUFFER_UTTERANCES, ge=1, description="of `shuffle: shards`: mixed with each other")
    block_utterances: int | None = Field(
        None, ge=1, description="of `shuffle: shards`: of one shard in a row (default: an eighth of the buffer)"
    )

    even: bool = Field(
        False,
        description="micro-batches of an update cost about the same, so that no GPU waits: for many GPUs; what does "
        "not fill an update at the end of a pass is left out of it",
    )

    @model_serializer(mode="wrap")
    def _without_unused_even(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Files and hashes of trainings in random order are those of the time before there was another one."""
        values: dict[str, object] = dump(self)
        return values if self.even else {key: value for key, value in values.items() if key != "even"}

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: Factors) -> Factors:
        return _checked(weights)

    @property
    def max_block(self) -> int:
        """Utterances of one container that are read in a row."""
        return self.block_utterances or max(1, self.buffer_utterances // 8)

    def stages(self) -> list[ScheduledWeights]:
        """The schedule's entries with all keys filled in; those before it are not among them."""
        alpha, lang_alpha, weights = self.alpha, self.lang_alpha, self.weights
        filled = []
        for entry in self.schedule:
            alpha = alpha if entry.alpha is None else entry.alpha
            lang_alpha = lang_alpha if entry.lang_alpha is None else entry.lang_alpha
            weights = weights if entry.weights is None else entry.weights
            filled.append(
                ScheduledWeights(from_epoch=entry.from_epoch, alpha=alpha, lang_alpha=lang_alpha, weights=weights)
            )
        return filled

    @model_validator(mode="after")
    def _check(self) -> "SamplingConfig":
        epochs = [entry.from_epoch for entry in self.schedule]
        if epochs != sorted(set(epochs)):
            raise ValueError(f"the schedule has from_epoch {epochs}: expected ascending numbers")
        self._check_names()
        inner = [self.lang_alpha, *(entry.lang_alpha for entry in self.stages())]
        if self.by != "set_lang" and inner != [1.0] * len(inner):
            raise ValueError("lang_alpha weighs the languages inside each set: it needs by: set_lang")
        if self.shuffle != "shards" and (self.buffer_utterances, self.block_utterances) != (BUFFER_UTTERANCES, None):
            raise ValueError("buffer_utterances and block_utterances are of the order of shards: shuffle: shards")
        if self.max_block > self.buffer_utterances:
            raise ValueError(
                f"block_utterances {self.max_block} is more than buffer_utterances {self.buffer_utterances}: "
                "expected a buffer of several blocks"
            )
        return self

    def _check_names(self) -> None:
        """A group that has a weight before and none later would have no weight that anybody wrote down."""
        given = [(f"schedule.{number}.weights", entry.weights) for number, entry in enumerate(self.schedule)]
        given = [("weights", self.weights or None), *given]
        named = [(where, weights) for where, weights in given if weights is not None]
        for where, weights in named[1:]:
            for name in sorted(named[0][1].keys() ^ weights.keys()):
                holder, lacking = (named[0][0], where) if name in named[0][1] else (where, named[0][0])
                raise ValueError(f"{lacking} has a gap: {holder} weighs {name}; write the same names in both")
