"""What keys of a config mean besides their value: the tags of every class, against the lists of before the tags."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import Field

from espnet2.finetune.config import FinetuneConfig
from espnet2.pretrain.reference import relevant_keys
from espnet2.ssl.encoder import encoder_class, encoder_names
from espnet2.ssl.frontend import frontend_class, frontend_names
from espnet2.ssl.objective import objective_class, objective_names
from espnet2.tasks.config import SSLConfig, resolve_config
from espnet2.train.config import TrainConfig
from espnet2.train.identity import describe_run
from espnet2.utils.config import Config, Tag, dump_without, tagged, tagged_keys

# Checkpoints and reference files hold what is left without these keys: another list would refuse them.
FREE_ON_RESUME = set(
    "max_update max_epoch patience num_workers num_threads compile log_interval_updates valid_interval_updates "
    "save_interval_minutes save_interval_updates keep_nbest_models best_model_criterion valid_batch_bins "
    "batch_bins accum_grad max_bins_per_gpu fsdp init_param init_from init_loss_conf max_nonfinite probe "
    "reference tracker read_late fsdp_ranks save_in_background".split()
)
NO_CURVE = set(
    "batch_type batch_bins accum_grad max_bins_per_gpu valid_batch_bins max_update max_epoch patience seed num_workers "
    "num_threads compile fsdp dtype max_nonfinite log_interval_updates valid_interval_updates save_interval_minutes "
    "save_interval_updates keep_nbest_models best_model_criterion probe reference tracker "
    "quadratic_seconds read_late fsdp_ranks save_in_background".split()
)
HOW_TRAINED = {"dropout", "attention_dropout", "activation_dropout", "layerdrop", "feature_grad_mult"}
HOW_TRAINED |= {"recompute_blocks", "norm_output", "attention_kernel"}  # the same weights fit either way

RUNS = (TrainConfig, SSLConfig, FinetuneConfig)
PARTS = [frontend_class(name).Config for name in frontend_names()]
PARTS += [encoder_class(name).Config for name in encoder_names()]
METHODS = [objective_class(name).Config for name in objective_names()]


def sections_in(annotation: Any) -> Iterator[type[Config]]:
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, Config):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_in(argument)


def with_sections(config: type[Config]) -> Iterator[type[Config]]:
    yield config
    for field in config.model_fields.values():
        for section in sections_in(field.annotation):
            yield from with_sections(section)


@pytest.mark.parametrize("config", RUNS)
def test_a_run_has_the_keys_of_the_lists(config: type[Config]) -> None:
    afterwards = {"result", "decode", "decode_conf"} if config is FinetuneConfig else set()
    assert tagged_keys(config, Tag.FREE_ON_RESUME) == FREE_ON_RESUME | afterwards
    assert tagged_keys(config, Tag.NO_CURVE) == NO_CURVE
    assert not tagged_keys(config, Tag.HOW_TRAINED)


@pytest.mark.parametrize("config", PARTS)
def test_a_part_has_those_keys_of_the_list_that_it_knows(config: type[Config]) -> None:
    assert tagged_keys(config, Tag.HOW_TRAINED) == HOW_TRAINED & set(config.model_fields)
    assert not tagged_keys(config, Tag.FREE_ON_RESUME) | tagged_keys(config, Tag.NO_CURVE)


def test_every_key_of_the_lists_is_in_some_config() -> None:
    assert set().union(*(part.model_fields for part in PARTS)) >= HOW_TRAINED


def test_no_key_of_a_section_or_a_method_is_tagged() -> None:
    """Before the tags only the top level was left out, so a tag down there would change what checkpoints are asked."""
    sections = {section for config in RUNS for section in with_sections(config)} - set(RUNS)
    for config in [*sections, *METHODS]:
        assert not [name for tag in Tag for name in tagged_keys(config, tag)], config
    assert len(sections) > 2


def test_the_dumps_of_checkpoints_and_references_are_those_of_before() -> None:
    for name in objective_names():
        config = resolve_config({"loss": [{"name": name}], "augment": {"gain": {"probability": 0.5}}, "accum_grad": 3})
        values = config.model_dump(mode="json")
        free = {key: value for key, value in values.items() if key not in FREE_ON_RESUME}
        assert list(describe_run(config, {}, {})["config"].items()) == list(free.items())
        curve = {key: value for key, value in values.items() if key not in NO_CURVE}
        assert list(relevant_keys(config).items()) == [*curve.items(), ("batch_bins", 3_000_000)]


class Inner(Config):
    kept: int = 1
    free: int = 2


class Free(Inner):
    free: int = Field(2, json_schema_extra=tagged(Tag.FREE_ON_RESUME, Tag.HOW_TRAINED))


class Outer(Config):
    section: Free = Free()
    several: tuple[Inner, ...] = (Free(), Inner())
    other: tuple[int, ...] = (1, 2)


def test_tags_of_sections_and_of_lists_of_sections_are_seen() -> None:
    dump = dump_without(Outer(), Tag.FREE_ON_RESUME)
    assert dump == {"section": {"kept": 1}, "several": [{"kept": 1}, {"kept": 1, "free": 2}], "other": [1, 2]}
    assert dump_without(Outer(), Tag.NO_CURVE) == Outer().model_dump(mode="json")


def test_a_subclass_that_declares_a_key_anew_keeps_its_tags() -> None:
    """Every class of the toolkit that a config can name; pydantic takes no tag over by itself."""
    for config in {*RUNS, *PARTS, *METHODS}:
        for base in config.__mro__[1:]:
            if issubclass(base, Config):
                for tag in Tag:
                    assert tagged_keys(base, tag) <= tagged_keys(config, tag), (config, base, tag)
