"""The same utterances in Hugging Face datasets and in lhotse: open, first batch, pass, resume, memory."""

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from audio_copies import RATE
from scale_figures import MEBIBYTE, Figures, private_bytes, utt_id_of

if TYPE_CHECKING:
    from lhotse.dataset.sampling import DynamicBucketingSampler

UTTERANCES_PER_ARK = 100
BATCH_UTTERANCES = 108
BATCH_SECONDS = 87.5  # HuBERT Base's share of one GPU: 1,400,000 samples
ONWARDS = 200  # batches after the first, to see what one costs


def measure_datasets(folder: Path, lengths: np.ndarray, figures: Figures) -> None:
    """Of Hugging Face datasets with the same columns, memory-mapped Arrow files."""
    import datasets
    import pyarrow
    from pyarrow.parquet import write_table

    numbers = np.arange(len(lengths))
    table = pyarrow.table(
        {
            "id": pyarrow.array([utt_id_of(number) for number in numbers.tolist()]),
            "ark": pyarrow.array((numbers // UTTERANCES_PER_ARK).astype(np.int32)),
            "offset": pyarrow.array(30 + 230_000 * (numbers % UTTERANCES_PER_ARK)),
            "num_samples": pyarrow.array(lengths),
        }
    )
    name = f"datasets {datasets.__version__}"
    with figures.timed(f"{name}: write"):
        write_table(table, folder / "all.parquet")
        opened = datasets.Dataset.from_parquet(str(folder / "all.parquet"), cache_dir=str(folder / "cache"))
        opened.save_to_disk(str(folder / "hf"))
    del table, opened
    with figures.timed(f"{name}: open"):
        opened = datasets.load_from_disk(str(folder / "hf"))
    with figures.timed(f"{name}: first batch of a random order (no length buckets)"):
        shuffled = opened.shuffle(seed=0)
        shuffled[:BATCH_UTTERANCES]
    with figures.timed(f"{name}: resume in the middle of a pass"):
        shuffled = datasets.load_from_disk(str(folder / "hf")).shuffle(seed=5)
        middle = len(lengths) // 2
        shuffled[middle : middle + BATCH_UTTERANCES]


def measure_lhotse(folder: Path, lengths: np.ndarray, figures: Figures) -> None:
    """Of a lazy manifest of cuts and the sampler with buckets that lhotse's recipes train with."""
    import lhotse

    name = f"lhotse {lhotse.__version__}, {len(lengths):,} utterances"
    path = folder / "cuts.jsonl"
    with figures.timed(f"{name}: write the manifest"):
        write_cuts(path, lengths)
    figures.say(f"{name}: manifest", f"{path.stat().st_size / len(lengths):.0f} bytes per utterance")
    before = private_bytes()
    with figures.timed(f"{name}: open"):
        sampler = open_sampler(path)
    with figures.timed(f"{name}: first batch (buffer of 20,000, 30 buckets)"):
        batches = iter(sampler)
        next(batches)
    with figures.timed(f"{name}: {ONWARDS} more batches"):
        num_cuts = sum(len(batch) for batch in islice(batches, ONWARDS))
    figures.say(f"{name}: cuts in them", str(num_cuts))
    with figures.timed(f"{name}: on to the middle of the pass"):
        while sampler.diagnostics.current_epoch_stats.total_cuts < len(lengths) // 2:
            next(batches)
    figures.say(f"{name}: private memory", f"{(private_bytes() - before) / MEBIBYTE:.0f} MiB in all")
    state = sampler.state_dict()
    resumed = open_sampler(path)
    with figures.timed(f"{name}: resume in the middle of a pass"):
        resumed.load_state_dict(state)
        batch = next(iter(resumed))
    is_next = [cut.id for cut in batch] == [cut.id for cut in next(batches)]
    figures.say(f"{name}: the batch after resume is the one that would have come", str(is_next))


def open_sampler(path: Path) -> "DynamicBucketingSampler":
    """As lhotse's and icefall's recipes do it: a shuffled buffer, buckets of similar length."""
    from lhotse import CutSet
    from lhotse.dataset.sampling import DynamicBucketingSampler

    return DynamicBucketingSampler(
        CutSet.from_jsonl_lazy(path),
        max_duration=BATCH_SECONDS,
        num_buckets=30,
        shuffle=True,
        seed=0,
        buffer_size=20_000,
        world_size=1,
        rank=0,
    )


def write_cuts(path: Path, lengths: np.ndarray) -> None:
    """What lhotse's own writer writes for cuts that are whole files."""
    with open(path, "w", encoding="utf-8") as stream:
        for number, length in enumerate(lengths.tolist()):
            utt_id, seconds = utt_id_of(number), length / RATE
            source = {"type": "file", "channels": [0], "source": f"/corpus/{utt_id}.flac"}
            sizes = {"sampling_rate": RATE, "num_samples": length, "duration": seconds}
            recording = {"id": utt_id, "sources": [source], **sizes, "channel_ids": [0]}
            cut = {"id": utt_id, "start": 0, "duration": seconds, "channel": 0, "supervisions": []}
            stream.write(json.dumps({**cut, "recording": recording, "type": "MonoCut"}) + "\n")
