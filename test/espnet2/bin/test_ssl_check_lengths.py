"""Formatted sets and configs in; silence, or one message with the duration that the objective needs, out."""

import re

import pytest
import yaml
from tiny_model import tiny_config
from tiny_training import make_corpus
from tiny_units import run_program

from espnet2.ssl.objective import objective_names
from espnet2.utils.errors import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Sets of utterances of 0.6 to 1.6 s."""
    root = tmp_path_factory.mktemp("lengths")
    return root, make_corpus(root, num_train=4, num_valid=2)


def check(corpus, name: str, config: dict, *words: str) -> None:
    root, paths = corpus
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    sets = ["--train_sets", paths.train_sets[0], "--valid_sets", paths.valid_sets[0]]
    run_program("ssl_check_lengths", "--config", path, *sets, *words)


def config_of(name: str) -> dict:
    """A config as a user writes it: no number of classes, as there are no labels yet."""
    config = tiny_config(name).model_dump(mode="json")
    config["loss"][0]["conf"].pop("num_classes", None)
    return config


@pytest.mark.parametrize("name", objective_names())
def test_every_objective_is_asked_before_there_are_labels(corpus, name):
    check(corpus, name, config_of(name))


@pytest.mark.parametrize("name", ["data2vec2", "speechflow", "wav2vec2"])
def test_too_short_utterances_are_one_message_with_the_remedy(corpus, name):
    config = config_of(name)
    config["loss"][0]["conf"]["mask_span"] = 200
    with pytest.raises(UserError, match=r"utterances are shorter than the objective needs") as raised:
        check(corpus, name, config)
    message = str(raised.value)
    seconds = float(re.search(r"needs \(([\d.]+) s\)", message)[1])
    remedy = float(re.search(r"--min_wav_duration ([\d.]+) or more", message)[1])
    assert seconds <= remedy < seconds + 0.011 and len(message.splitlines()) == 1


def test_what_training_leaves_out_is_not_refused_and_speed_asks_for_more(corpus):
    config = config_of("wav2vec2")
    config["loss"][0]["conf"]["mask_span"] = 90
    with pytest.raises(UserError, match=r"^.*train: "):
        check(corpus, "wav2vec2", config)
    with pytest.raises(UserError, match=r"^.*valid: "):  # of the valid set nothing is left out
        check(corpus, "wav2vec2", config | {"min_seconds": 1.7}, "--max_seconds", "2")
    config["loss"][0]["conf"]["mask_span"] = 25
    check(corpus, "wav2vec2", config)
    with pytest.raises(UserError, match="train"):
        check(corpus, "wav2vec2", config, "--augment.speed.factors", "[2.0]")
