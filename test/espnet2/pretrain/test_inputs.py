"""Train sets and a config in, the groups of utterances that are seen more or less often out."""

import numpy as np
import pytest
from tiny_training import TINY_CONFIG, make_set

from espnet2.data.index import open_indexes
from espnet2.data.index_build import build_index
from espnet2.data.sampler import Sampler
from espnet2.pretrain.inputs import make_sampling
from espnet2.tasks.config import resolve_config
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
    return resolve_config({**TINY_CONFIG, "sampling": sampling})


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
    one.languages = ["und"]
    with pytest.raises(UserError, match="only und; write data/<set>/utt2lang"):
        make_sampling(config(by="lang", alpha=0.5), one)
