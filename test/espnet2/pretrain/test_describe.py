"""What the first lines of a training's log say of a setting that is at odds with the data."""

import pytest
from tiny_training import command_line, make_corpus
from training_process import run_training

from espnet2.pretrain.session import quadratic_share
from espnet2.tasks.config import SSLConfig


def config(**options):
    return SSLConfig(frontend="fbank", encoder="transformer", loss=[{"name": "hubert"}], max_update=1, **options)


@pytest.mark.parametrize(("options", "seconds"), [({}, 5.0), ({"quadratic_seconds": 15.0}, 21.0)])
def test_batches_that_are_full_need_no_word(options, seconds):
    assert quadratic_share(config(**options), seconds, 40.0) == []


def test_a_square_that_leaves_little_audio_is_told_with_its_remedy():
    (line,) = quadratic_share(config(quadratic_seconds=0.1), 3.2, 40.0)
    assert line.startswith("quadratic_seconds 0.1 leaves 8.0% of batch_bins") and "Make it larger" in line


@pytest.mark.parametrize(("seconds", "warned"), [(0.05, True), (30.0, False)])
def test_the_log_of_a_training_warns_once(tmp_path, seconds, warned):
    paths = make_corpus(tmp_path, quadratic_seconds=seconds, max_update=1, batch_bins=160_000)
    assert run_training(command_line(paths, tmp_path, tmp_path / "exp"), log=tmp_path / "out.log") == 0
    lines = (tmp_path / "exp/train.log").read_text().splitlines()
    assert sum("WARNING" in line and "quadratic_seconds 0.05 leaves" in line for line in lines) == warned
