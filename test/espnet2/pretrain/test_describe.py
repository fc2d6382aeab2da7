"""What the first lines of a training's log say of a setting that is at odds with the data."""

import pytest

from espnet2.pretrain.session import quadratic_share
from espnet2.tasks.config import SSLConfig


def config(**options):
    return SSLConfig(frontend="fbank", encoder="transformer", loss=[{"name": "hubert"}], max_update=1, **options)


@pytest.mark.parametrize(("options", "seconds"), [({}, 5.0), ({"quadratic_seconds": 15.0}, 21.0)])
def test_batches_that_are_full_need_no_word(options, seconds):
    assert quadratic_share(config(**options), seconds, 40.0) == []


def test_a_square_that_leaves_little_audio_is_told_with_its_remedy():
    (line,) = quadratic_share(config(quadratic_seconds=0.1), 3.2, 40.0)
    assert line.startswith("warning: quadratic_seconds 0.1 leaves 8.0% of batch_bins") and "Make it larger" in line
