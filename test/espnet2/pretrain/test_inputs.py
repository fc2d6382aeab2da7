"""Train sets and a config in, the groups of utterances that are seen more or less often out."""

import numpy as np
import pytest
from tiny_training import TINY_CONFIG, make_set

from espnet2.data.index import open_indexes
from espnet2.data.index_build import build_index
from espnet2.data.sampler import Sampler
from espnet2.tasks.config import resolve_config
from espnet2.train.data import StepPlan
from espnet2.train.order import make_sampler, make_sampling
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table, write_table


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Set a: 12 utterances, four of them Welsh; set b: 4 utterances, Welsh."""
    root = tmp_path_factory.mktemp("sets")
    for name, count, welsh in (("a", 12, range(4)), ("b", 4, range(4))):
        make_set(root, name, num_utterances=count)
        folder = root / "dump" / name
        rows = enumerate(read_table(folder / "wav.scp"))
        write_table(folder / "utt2lang", ((utt, "cym" if row in welsh else "eng") for row, utt in rows))
        build_index(folder)
    return open_indexes([root / "dump/a", root / "dump/b"])


def config(**sampling):
    return resolve_config({**TINY_CONFIG, "sampling": sampling}).sampling


@pytest.mark.parametrize("by", ["set", "lang"])
def test_every_group_alike(index, by):
    sampling = make_sampling(config(by=by, alpha=0.0), index)
    names = index.names if by == "set" else index.languages
    if by == "lang":
        assert [names[group] for group in sampling.groups] == ["cym"] * 4 + ["eng"] * 8 + ["cym"] * 4
    else:
        assert sampling.groups.tolist() == [0] * 12 + [1] * 4
    sampler = Sampler(index.num_samples, shard_samples=32000, max_samples=10**6, sampling=sampling)
    seen = np.concatenate([sampler.plan(epoch).order for epoch in range(50)])
    seconds = np.bincount(sampling.groups[seen], weights=np.asarray(index.num_samples)[seen])
    assert seconds[0] / seconds.sum() == pytest.approx(0.5, abs=0.03)


def test_weights_that_would_do_nothing_are_refused(index):
    assert make_sampling(config(by="lang"), index) is None
    one = open_indexes([index.parts[0].directory])
    with pytest.raises(UserError, match=r"only .*dump/a; name several train sets"):
        make_sampling(config(by="set", alpha=0.5), one)
    one.languages, one.lang_ids = ["und"], np.zeros(12, np.int16)
    with pytest.raises(UserError, match="only und; write data/<set>/utt2lang"):
        make_sampling(config(by="lang", alpha=0.5), one)


def shares(index, **sampling) -> dict[str, float]:
    """Of each language of each set, by audio, over 50 passes."""
    given = make_sampling(config(**sampling), index)
    sampler = Sampler(index.num_samples, shard_samples=32000, max_samples=10**6, sampling=given)
    seen = np.concatenate([sampler.plan(epoch).order for epoch in range(50)])
    names = [f"{index.names[index.set_ids[row]][-1]}/{index.languages[index.lang_ids[row]]}" for row in seen]
    seconds = np.asarray(index.num_samples)[seen]
    return {name: seconds[np.array(names) == name].sum() / seconds.sum() for name in set(names)}


def test_two_levels_and_weights_by_name(index):
    seen = shares(index, by="set_lang", alpha=0.0, lang_alpha=0.0)
    assert seen == pytest.approx({"a/cym": 0.25, "a/eng": 0.25, "b/cym": 0.5}, abs=0.03)
    seen = shares(index, by="set_lang", alpha=0.0, lang_alpha=0.0, weights={"b": 2.0, "eng": 4.0})
    assert seen == pytest.approx({"a/cym": 1 / 15, "a/eng": 4 / 15, "b/cym": 2 / 3}, abs=0.03)
    seen = shares(index, by="set", alpha=0.0, weights={index.names[1]: 0.0})
    assert seen.keys() == {"a/cym", "a/eng"}


def test_a_schedule_keeps_what_it_does_not_name(index):
    entries = [{"from_epoch": 1, "weights": {"a": 1.0}}, {"from_epoch": 3, "alpha": 1.0}]
    sampling = make_sampling(config(by="set", alpha=0.0, weights={"a": 0.0}, schedule=entries), index)
    assert [weights.alpha for weights in sampling.weights] == [0.0, 0.0, 1.0]
    assert [weights.factors.tolist() for weights in sampling.weights] == [[0.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    for epoch, number in enumerate([0, 1, 1, 2, 2]):
        assert sampling.at(epoch) is sampling.weights[number]


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"by": "lang", "weights": {"egn": 2.0}}, "have no language 'egn'; did you mean 'eng'"),
        ({"by": "set_lang", "weights": {"deu": 2.0}}, "have no set or language 'deu'"),
        ({"by": "lang", "weights": {"a": 2.0}}, "have no language 'a'"),
        ({"weights": {"eng": 2.0}}, "have no set 'eng'"),
        ({"weights": {"a": 0.0, "b": 0.0}}, "all weights are 0"),
        ({"schedule": [{"from_epoch": 2, "weights": {"c": 2.0}}]}, "have no set 'c'"),
    ],
)
def test_names_that_no_set_has_are_refused(index, sampling, message):
    with pytest.raises(UserError, match=message):
        make_sampling(config(**sampling), index)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"schedule": [{"from_epoch": 4}, {"from_epoch": 2}]}, r"from_epoch \[4, 2\]: expected ascending"),
        ({"schedule": [{"from_epoch": 2}, {"from_epoch": 2}]}, "expected ascending"),
        ({"schedule": [{"from_epoch": 0}]}, "from_epoch"),
        (
            {"weights": {"a": 1.0, "b": 2.0}, "schedule": [{"from_epoch": 2, "weights": {"a": 1.0}}]},
            "schedule.0.weights has a gap: weights weighs b",
        ),
        (
            {"schedule": [{"from_epoch": 2, "weights": {"a": 1}}, {"from_epoch": 3, "weights": {"b": 1}}]},
            "schedule.1.weights has a gap: schedule.0.weights weighs a",
        ),
        ({"weights": {"a": -1.0}}, "weight of a is -1.0"),
        ({"lang_alpha": 0.5}, "needs by: set_lang"),
        ({"shuffle": "shards", "buffer_utterances": 100, "block_utterances": 200}, "a buffer of several blocks"),
        ({"buffer_utterances": 100}, "are of the order of shards: shuffle: shards"),
        ({"shuffle": "shard"}, "'utterances' or 'shards'"),
        ({"buffer_utterance": 3}, "did you mean 'buffer_utterances'"),
    ],
)
def test_wrong_sections_are_refused(sampling, message):
    with pytest.raises(UserError, match=message):
        config(**sampling)


def test_a_buffer_smaller_than_a_batch_is_refused(index):
    settings = resolve_config({**TINY_CONFIG, "sampling": {"shuffle": "shards", "buffer_utterances": 3}})
    sizes = {"max_samples": 10**6, "hop_samples": 320}
    with pytest.raises(UserError, match=r"buffer_utterances 3 is smaller than the batch of an update, about [4-9]"):
        make_sampler(settings, index, index.num_samples, StepPlan(64000, 2, 2), **sizes)
    sampler = make_sampler(settings, index, index.num_samples, StepPlan(16000, 1, 1), **sizes)
    assert sorted(sampler.plan(0).order) == list(range(16))
