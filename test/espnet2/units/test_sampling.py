"""Samples: the same utterances and frames for any number of jobs; shards that resume, and are refused when foreign."""

import numpy as np
import pytest

from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import open_indexes
from espnet2.units.request import require_disk, require_memory
from espnet2.units.sampling import FeatureShard, Sample, job_part, plan_sample, sampled_frames
from espnet2.utils.errors import UserError

MFCC = FrameGeometry(((400, 160),))


@pytest.fixture
def index(corpus):
    return open_indexes([corpus / "dump/train"])


def test_a_portion_of_the_utterances(index):
    plan = plan_sample(index, MFCC, portion=0.5, max_frames=10**9, seed=0)
    assert len(plan.rows) == 5 and plan.keep == 1
    assert plan.num_frames == sum((int(index.num_samples[row]) - 400) // 160 + 1 for row in plan.rows)
    again = plan_sample(index, MFCC, portion=0.5, max_frames=10**9, seed=0)
    assert plan.rows.tolist() == again.rows.tolist() == sorted(plan.rows.tolist())
    others = [plan_sample(index, MFCC, portion=0.5, max_frames=10**9, seed=s).rows.tolist() for s in range(1, 6)]
    assert any(rows != plan.rows.tolist() for rows in others)
    assert len(plan_sample(index, MFCC, portion=1e-9, max_frames=10**9, seed=0).rows) == 1
    assert len(plan_sample(index, MFCC, portion=1.0, max_frames=10**9, seed=0).rows) == len(index)


@pytest.mark.parametrize("portion", [0.0, -1.0, 1.5])
def test_portions_outside_0_to_1_are_refused(index, portion):
    with pytest.raises(UserError, match="--portion"):
        plan_sample(index, MFCC, portion=portion, max_frames=10, seed=0)


def test_a_cap_takes_an_even_share_of_each_utterance(index):
    plan = plan_sample(index, MFCC, portion=1.0, max_frames=200, seed=0)
    counts = MFCC.output_lengths(np.asarray(index.num_samples))
    assert plan.keep == pytest.approx(200 / counts.sum())
    taken = [sampled_frames(index.utt_id(row), counts[row], plan.keep, 0) for row in plan.rows]
    assert abs(sum(map(len, taken)) - 200) <= len(index)
    for frames, count in zip(taken, counts, strict=True):
        assert abs(len(frames) - plan.keep * count) <= 1
        assert len(np.unique(frames)) == len(frames) and (np.diff(frames) > 0).all() and frames.max() < count
    assert sampled_frames("u", 100, 0.3, 0).tolist() == sampled_frames("u", 100, 0.3, 0).tolist()
    assert sampled_frames("u", 100, 0.3, 0).tolist() != sampled_frames("v", 100, 0.3, 0).tolist()


def test_jobs_share_all_rows_in_order():
    rows = np.arange(10)
    for num_jobs in (1, 3, 10, 12):
        parts = [job_part(rows, job, num_jobs) for job in range(1, num_jobs + 1)]
        assert np.concatenate(parts).tolist() == rows.tolist()
    for job in (0, 4):
        with pytest.raises(UserError, match="--job"):
            job_part(rows, job, 3)


def test_shards_are_streamed_and_joined(tmp_path):
    parts = [np.full((count, 3), count, dtype=np.float32) for count in (2, 0, 5, 1)]
    first, second = FeatureShard(tmp_path, 1), FeatureShard(tmp_path, 2)
    assert first.write(iter(parts[:3]), 3, 100.0, "one") == 7
    assert not second.is_done("two")
    with pytest.raises(UserError, match=r"features.2.npy: missing"):
        Sample.open(tmp_path, ["one", "two"])
    second.write(iter(parts[3:]), 3, 100.0, "two")
    sample = Sample.open(tmp_path, ["one", "two"])
    assert (sample.num_frames, sample.dim, sample.frame_rate) == (8, 3, 100.0)
    assert np.array_equal(sample.read(), np.concatenate(parts))
    assert np.load(first.frames_path).shape == (7, 3)
    with pytest.raises(UserError, match="made with other data or options"):
        Sample.open(tmp_path, ["one", "other"])


def test_an_interrupted_shard_is_not_taken_for_complete(tmp_path):
    shard = FeatureShard(tmp_path, 1)
    shard.write(iter([np.zeros((4, 2))]), 2, 50.0, "mark")

    def broken():
        yield np.zeros((1, 2))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shard.write(broken(), 2, 50.0, "mark")
    assert not shard.is_done("mark")


def test_too_little_disk_or_memory_is_said_before(tmp_path):
    require_disk(tmp_path, 1)
    require_memory(1)
    with pytest.raises(UserError, match=r"are free.*--max_frames"):
        require_disk(tmp_path, 10**18)
    with pytest.raises(UserError, match="of memory"):
        require_memory(10**18)
