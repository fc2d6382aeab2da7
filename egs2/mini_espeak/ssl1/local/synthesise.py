"""Speaker and utterance counts in, 16 kHz audio and the tables of data/train and data/dev out: a synthetic corpus."""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from multiprocessing.connection import wait
from pathlib import Path
from random import Random
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the parallel unit is the speaker

import numpy as np
from espeak import Espeak, Phone, voice_folder
from sentences import make_sentence, transcript
from speakers import Speaker, make_speaker

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import hash_file, hash_value, write_json
from espnet2.utils.kaldi_table import write_table

SAMPLE_RATE = 16000  # Hz
LANGUAGE = "en"
ESPEAK_LANGUAGE = "en-us"
CTM_TICKS_PER_SECOND = 10000  # phone times are written to 0.1 ms: integer arithmetic keeps neighbours contiguous
PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class Settings:
    """What decides the bytes of one speaker."""

    seed: int
    utterances_per_speaker: int
    noise_decibels: float  # below the speech; without it about 5 % of the samples are exactly zero
    sources: str  # hash of the programs


class Utterance(NamedTuple):
    """One line of each table."""

    name: str
    path: str
    text: str
    num_samples: int
    phones: list[tuple[str, int, int]]  # name, start, end (ticks)


def synthesise_speaker(speaker: Speaker, settings: Settings, voices: str, folder: Path) -> None:
    """Speak all sentences of one speaker into `folder`; `rows.json`, written last, says that it is complete.

    Args:
        voices: from `voice_folder`.
    """
    (folder / "rows.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    engine = Espeak(voices, speaker, language=ESPEAK_LANGUAGE)
    rows = [
        synthesise_utterance(engine, speaker, number, settings, folder)
        for number in range(settings.utterances_per_speaker)
    ]
    write_json(folder / "rows.json", {"stamp": stamp_of(speaker, settings), "rows": rows})


def synthesise_utterance(engine: Espeak, speaker: Speaker, number: int, settings: Settings, folder: Path) -> Utterance:
    """Speak one sentence, resample it, give it a level and a noise floor, write it."""
    import soundfile

    name = f"{speaker.name}-{number:03d}"
    random = Random(f"{settings.seed}/utterance/{name}")
    sentence = make_sentence(random)
    rate = round(speaker.words_per_minute * random.uniform(0.9, 1.1))
    speech = engine.speak(
        sentence, words_per_minute=rate, pitch=random.randint(40, 60), pitch_range=random.randint(30, 80)
    )
    gain = random.uniform(0.3, 0.9)
    noise_seed = int.from_bytes(sha256(f"{settings.seed}/{name}".encode()).digest()[:8], "big")
    samples = finish(speech.samples, engine.sample_rate, gain, settings.noise_decibels, noise_seed)
    path = folder / f"{name}.wav"
    soundfile.write(path, samples, SAMPLE_RATE, "PCM_16")
    return Utterance(name, str(path), transcript(sentence), len(samples), to_ticks(speech.phones, engine.sample_rate))


def finish(samples: np.ndarray, rate: int, gain: float, noise_decibels: float, noise_seed: int) -> np.ndarray:
    """Resample (samples,) int16 at `rate` Hz to int16 at 16 kHz, scaled by `gain`, over a floor of white noise."""
    import soxr

    speech = gain * soxr.resample(samples.astype(np.float32) / 32768, rate, SAMPLE_RATE, "HQ")
    level = np.sqrt(np.mean(speech**2)) * 10 ** (-noise_decibels / 20)
    noise = np.random.Generator(np.random.PCG64(noise_seed)).standard_normal(len(speech), dtype=np.float32)
    return np.clip(np.rint((speech + level * noise) * 32768), -32768, 32767).astype(np.int16)


def to_ticks(phones: list[Phone], rate: int) -> list[tuple[str, int, int]]:
    """Phones with their times in ticks of 0.1 ms, rounded down, so that the last one ends within the audio."""
    return [
        (name, start * CTM_TICKS_PER_SECOND // rate, end * CTM_TICKS_PER_SECOND // rate) for name, start, end in phones
    ]


def stamp_of(speaker: Speaker, settings: Settings) -> str:
    """A hash of all that decides one speaker's bytes."""
    return hash_value([speaker, asdict(settings)])


def read_finished(speaker: Speaker, settings: Settings, folder: Path) -> list[Utterance] | None:
    """The speaker's rows if an earlier run finished them with the same settings and their audio is still there."""
    try:
        record = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    rows = [Utterance(*row) for row in record["rows"]]
    current = record["stamp"] == stamp_of(speaker, settings)
    return rows if current and all((folder / f"{row.name}.wav").exists() for row in rows) else None


def run_in_own_processes(jobs: list[tuple[str, Callable[[], None]]], num_jobs: int, report: Callable[[int], None]):
    """Run each job in a fresh process, `num_jobs` at a time; a failed one stops all.

    Args:
        jobs: (name, function) pairs.
        report: called with the number of finished jobs.
    """
    context = multiprocessing.get_context("fork")  # this process has not touched the library: children start clean
    waiting, running, num_done = list(reversed(jobs)), {}, 0
    try:
        while waiting or running:
            while waiting and len(running) < num_jobs:
                name, function = waiting.pop()
                process = context.Process(target=run_main, args=(function,))
                process.start()
                running[process.sentinel] = (name, process)
            for sentinel in wait(list(running)):
                name, process = running.pop(sentinel)
                process.join()
                if process.exitcode != 0:
                    raise UserError(f"speaker {name}: synthesis failed with status {process.exitcode}; see above")
                num_done += 1
                report(num_done)
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def synthesise_all(
    speakers: list[Speaker], settings: Settings, audio_dir: Path, num_jobs: int
) -> list[list[Utterance]]:
    """Make what is not there yet; the rows of each speaker, in order."""
    missing = [one for one in speakers if read_finished(one, settings, audio_dir / one.name) is None]
    started = last = time.monotonic()

    def report(num_done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS or num_done == len(missing):
            last = time.monotonic()
            remaining = (last - started) / num_done * (len(missing) - num_done)
            print(f"synthesised {num_done} of {len(missing)} speakers, {remaining:.0f} s to go", file=sys.stderr)

    if len(missing) < len(speakers):
        print(f"{len(speakers) - len(missing)} of {len(speakers)} speakers are there already", file=sys.stderr)
    with voice_folder(missing) as voices:
        jobs = [
            (one.name, lambda one=one: synthesise_speaker(one, settings, voices, audio_dir / one.name))
            for one in missing
        ]
        run_in_own_processes(jobs, num_jobs, report)
    return [read_finished(one, settings, audio_dir / one.name) or [] for one in speakers]


def write_tables(folder: Path, speakers: list[Speaker], rows: list[list[Utterance]]) -> None:
    """Write one set's Kaldi tables (spk2utt is the shell's work), speakers and utterances in byte order."""
    utterances = [one for speaker_rows in rows for one in speaker_rows]
    of_speaker = [
        (utterance.name, speaker.name)
        for speaker, speaker_rows in zip(speakers, rows, strict=True)
        for utterance in speaker_rows
    ]
    write_table(folder / "utt2spk", of_speaker)
    write_table(folder / "spk2gender", [(one.name, one.gender) for one in speakers])
    write_table(folder / "text", [(one.name, one.text) for one in utterances])
    write_table(folder / "utt2lang", [(one.name, LANGUAGE) for one in utterances])
    write_table(folder / "phones.ctm", [line for one in utterances for line in ctm_lines(one)])
    write_table(folder / "wav.scp", [(one.name, one.path) for one in utterances])


def ctm_lines(utterance: Utterance) -> list[tuple[str, str]]:
    """ "<utterance> <channel> <start s> <duration s> <phone>" for each phone."""
    unit = CTM_TICKS_PER_SECOND
    return [
        (utterance.name, f"1 {start / unit:.4f} {(end - start) / unit:.4f} {name}")
        for name, start, end in utterance.phones
    ]


def get_parser() -> argparse.ArgumentParser:
    """The command line; its defaults are those of the corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for train/ and dev/ (tables)")
    parser.add_argument("--audio_dir", type=Path, required=True, help="folder for the audio, one folder per speaker")
    parser.add_argument("--num_speakers", type=int, required=True, help="voices in all")
    parser.add_argument("--num_dev_speakers", type=int, required=True, help="the last voices, held out")
    parser.add_argument("--utterances_per_speaker", type=int, required=True)
    parser.add_argument("--noise_decibels", type=float, default=35.0, help="noise floor below the speech")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--nj", type=int, default=4, help="processes at a time; the bytes do not depend on it")
    return parser


def main() -> None:
    """Check the numbers, synthesise, write both sets, say what there is."""
    arguments = get_parser().parse_args()
    if not 0 < arguments.num_dev_speakers < arguments.num_speakers <= 1000:
        raise UserError(
            f"--num_dev_speakers {arguments.num_dev_speakers} --num_speakers {arguments.num_speakers}: "
            "at least one speaker must be left for each set, and there can be 1000 at most"
        )
    if not 0 < arguments.utterances_per_speaker <= 1000:
        raise UserError(f"--utterances_per_speaker {arguments.utterances_per_speaker}: expected 1 to 1000")
    if arguments.nj < 1:
        raise UserError(f"--nj {arguments.nj}: expected 1 or more")
    sources = "".join(hash_file(path) for path in sorted(Path(__file__).resolve().parent.glob("*.py")))
    settings = Settings(arguments.seed, arguments.utterances_per_speaker, arguments.noise_decibels, sources)
    speakers = [make_speaker(number, seed=arguments.seed) for number in range(arguments.num_speakers)]
    rows = synthesise_all(speakers, settings, arguments.audio_dir, arguments.nj)
    num_train = arguments.num_speakers - arguments.num_dev_speakers
    for name, part in (("train", slice(None, num_train)), ("dev", slice(num_train, None))):
        write_tables(arguments.output_dir / name, speakers[part], rows[part])
        seconds = sum(utterance.num_samples for speaker_rows in rows[part] for utterance in speaker_rows) / SAMPLE_RATE
        num_utterances = sum(len(speaker_rows) for speaker_rows in rows[part])
        print(f"{name}: {len(rows[part])} speakers, {num_utterances} utterances, {seconds / 60:.2f} minutes")


if __name__ == "__main__":
    run_main(main)
