"""Small data directories in, what stage 3 makes of them out."""

import numpy as np
import soundfile

from espnet2.data.audio.read import read_audio
from espnet2.data.format.convert import Shard, format_shard
from espnet2.data.format.merge import merge_format
from espnet2.data.format.plan import FormatOptions, prepare
from espnet2.utils.kaldi_table import read_table

FLAC = FormatOptions(16000, "flac")


def noise(seed, num_samples=8000):
    return (np.random.default_rng(seed).standard_normal(num_samples) * 3000).astype(np.int16)


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def make_data(folder, entries, **tables):
    """data/<set> from {utterance: wav.scp entry}; the speaker is the first letter."""
    write_lines(folder / "wav.scp", [f"{utt} {entry}" for utt, entry in entries.items()])
    write_lines(folder / "utt2spk", [f"{utt} {utt[0]}" for utt in tables.pop("keys", entries)])
    for name, lines in tables.items():
        write_lines(folder / name.replace("phones", "phones.ctm"), lines)
    return folder


def make_corpus(folder, count=7, **options):
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    entries = {}
    for number in range(count):
        entries[f"u{number}"] = folder / "wav" / f"{number}.wav"
        soundfile.write(entries[f"u{number}"], noise(number, 3000 + 1000 * number), options.get("rate", 16000))
    return make_data(folder / "data", entries)


def run(data, output, options=FLAC, *, jobs=1, max_rejected_ratio=0.01):
    num_jobs = prepare(data, output, options, jobs)
    for job in range(1, num_jobs + 1):
        format_shard(data, Shard(output, job, num_jobs))
    return merge_format(data, output, options, num_jobs, max_rejected_ratio)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def samples_of(output):
    return {utt: read_audio(entry)[0] for utt, entry in read_table(output / "wav.scp").items()}
