"""Libri2Mix for diarization, as s3prl's script makes it, in, its sets with turns out."""

import math
from pathlib import Path

from espnet2.data_prep.superb.base import SuperbCorpus, require_file, require_folder, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table

TABLES = ("wav.scp", "segments", "utt2spk")
TURN = "SPEAKER {recording} 1 {start:.3f} {seconds:.3f} <NA> <NA> {speaker} <NA> <NA>\n"


class Libri2Mix(SuperbCorpus):
    """{train,dev,test}/{wav.scp,segments,utt2spk}: what scripts/prepare_diarization.py of s3prl's LibriMix writes."""

    name = "libri2mix"
    title = "Libri2Mix (max, both)"

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        for part in ("train", "dev", "test"):
            folder = require_folder(root / part, "expected train, dev and test of prepare_diarization.py")
            for table in TABLES:
                require_file(folder / table, "expected " + ", ".join(TABLES))
            speakers = read_table(folder / "utt2spk")
            turns = []
            for utt_id, value in read_table(folder / "segments").items():
                fields = value.split()
                try:
                    start, end = float(fields[1]), float(fields[2])
                    is_turn = utt_id in speakers and len(fields) == 3 and 0 <= start <= end < math.inf
                except (ValueError, IndexError):
                    is_turn = False
                if not is_turn:
                    raise UserError(
                        f"{folder}/segments: {utt_id}: no speaker in utt2spk, or no '<recording> <start> <end>'"
                    )
                turns.append(
                    TURN.format(recording=fields[0], start=start, seconds=end - start, speaker=speakers[utt_id])
                )
            write_set(data / "sd" / part, read_table(folder / "wav.scp"), {})
            (data / "sd" / part / "rttm").write_text("".join(sorted(turns)), encoding="utf-8")
        return ["sd"]
