"""dump/<set> without audio, as far as an index needs it."""

import json

UTTERANCES = ["a-1", "a-10", "a-2", "b", "ä", "日本"]  # C-locale order


def make_set(folder, utt_ids=UTTERANCES, sample_rate=16000, audio="dump/org/x/audio/00000"):
    folder.mkdir(parents=True)
    rows = list(enumerate(utt_ids))
    write(folder, "wav.scp", [f"{utt} {audio}/{utt}.flac" for _, utt in rows])
    write(folder, "utt2num_samples", [f"{utt} {1000 + number}" for number, utt in rows])
    write(folder, "utt2stats", [f"{utt} {0.5 * number} {0.25 + number}" for number, utt in rows])
    (folder / "format.json").write_text(json.dumps({"sample_rate": sample_rate}))
    return folder


def write(folder, name, lines):
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
