"""Files, pipes and arks whose headers say something else than what is there in; all that is there out."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_audio import COUNT, PCM, RATE, WAVE, chunk, encoded, flac_with_total, mp3, put, put_number, riff
from spoken import write_with_pyav

from espnet2.data.audio.decode import DEFAULT_RULES, ReadRules, open_recording
from espnet2.data.audio.rejected import RejectedAudio

TAGS = chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 14) + b"some program\0\0")
JUNK = chunk(b"JUNK", bytes(4000))
QUIET_LOUD = np.r_[0.0003 * WAVE, np.clip(0.4 * np.random.default_rng(2).standard_normal(COUNT), -1, 1)]
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # of the ids of W64

# name -> (contents, frames that are there, whether the header says less)
MORE: dict[str, tuple[Callable[[], bytes], int, bool]] = {
    "wav, sizes 0": (lambda: riff(data_size=0, riff_size=0), COUNT, True),
    "wav, sizes 0 and 36": (lambda: riff(data_size=0, riff_size=36), COUNT, True),
    "wav, junk before, size 0": (lambda: riff(data_size=0, riff_size=4088, before=JUNK), COUNT, True),
    "wav, a quarter": (lambda: riff(data_size=16000, riff_size=16036), COUNT, True),
    "wav, a half, tags behind": (lambda: riff(data_size=32000, after=TAGS), COUNT + len(TAGS) // 2, True),
    "wav, place-holder": (lambda: riff(data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF), COUNT, False),
    "wav, place-holder of sox": (lambda: riff(data_size=0x7FFFF000, riff_size=0x7FFFF024), COUNT, False),
    "rifx, size 0": (
        lambda: riff(np.frombuffer(PCM, "<i2").astype(">i2").tobytes(), data_size=0, magic=b"RIFX"), COUNT, True),
    "wav, right, tags behind": (lambda: riff(after=TAGS), COUNT, False),
    "wav, right, cut tags behind": (lambda: riff(after=TAGS[:20]), COUNT, False),
    "wav, right, ID3v1 behind": (lambda: riff(after=b"TAG" + bytes(125)), COUNT, False),
    "wav, right, zeros up to a block": (lambda: riff(after=bytes(3000)), COUNT, False),
    "two wavs": (lambda: encoded() + encoded(), 2 * COUNT, True),
    "mu-law, size 0": (
        lambda: put_number(encoded("WAV", "ULAW"), b"data", 0), COUNT, True),
    "gsm, a quarter": (lambda: put_number(encoded("WAV", "GSM610"), b"data", 1625), COUNT, True),
    "rf64, size 0": (lambda: put_number(encoded("RF64"), b"ds64", 0, skip=12, width=8), COUNT, True),
    "w64, size 0": (lambda: put_number(encoded("W64"), b"data" + W64_TAIL, 24, width=8), COUNT, True),
    "w64, tags behind": (
        lambda: encoded("W64") + b"bext" + W64_TAIL + (32).to_bytes(8, "little") + b"12345678", COUNT, False),
    "aiff, size 0": (
        lambda: put_number(put_number(encoded("AIFF"), b"SSND", 0, order="big"), b"COMM", 0, skip=6, order="big"),
        COUNT, True),
    "caf, open size": (lambda: put_number(encoded("CAF"), b"data", (1 << 64) - 1, width=8, order="big"), COUNT, False),
    "caf, a half": (lambda: put_number(encoded("CAF"), b"data", 32004, width=8, order="big"), COUNT, True),
    "au, a half": (lambda: put_number(encoded("AU"), b".snd", COUNT, skip=4, order="big"), COUNT, True),
    "two aus": (lambda: encoded("AU") * 2, 2 * COUNT, True),
    "sphere, a half": (
        lambda: encoded("NIST").replace(b"sample_count -i 32000", b"sample_count -i 16000"), COUNT, True),
    "flac, unknown total": (lambda: flac_with_total(0), COUNT, False),
    "flac, a quarter": (lambda: flac_with_total(8000), COUNT, True),
    "two flacs": (lambda: encoded("FLAC") * 2, 2 * COUNT, True),
    "two oggs": (lambda: encoded("OGG", "VORBIS") * 2, 2 * COUNT, True),
    "three opus files": (lambda: encoded("OGG", "OPUS") * 3, 3 * COUNT, True),
    "two mp3s": (lambda: mp3(QUIET_LOUD) * 2, 4 * COUNT, True),
    "mp3, Xing says less": (lambda: put_number(mp3(QUIET_LOUD), b"Xing", 10, skip=4, order="big"), 2 * COUNT, True),
    "mp3 without Xing, quiet first": (lambda: mp3(QUIET_LOUD, with_xing=False), 2 * COUNT, False),
    "mp3 without Xing, loud first": (lambda: mp3(QUIET_LOUD[::-1], with_xing=False), 2 * COUNT, False),
    "mp3s with a picture between": (
        lambda: mp3(QUIET_LOUD) + b"ID3\3\0\0" + bytes((0, 1, 0, 0)) + bytes(1 << 14) + mp3(QUIET_LOUD),
        4 * COUNT, True),
}  # fmt: skip


def read(entry: str, scratch: Path, rules: ReadRules = DEFAULT_RULES) -> tuple[np.ndarray, float]:
    """Samples, and seconds more than the header says."""
    with open_recording(entry, scratch, rules) as recording:
        start, stop = recording.whole()
        return np.concatenate(list(recording.blocks(start, stop, None))), recording.surplus_seconds


def tolerance(name: str) -> int:
    """Samples by which a lossy file may be longer: its encoder's delay."""
    return 2400 if "mp3" in name else 640 if "gsm" in name else 0


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("kind", ["file", "pipe", "unknown pipe", "ark"])
def test_all_that_is_there(tmp_path: Path, name: str, kind: str) -> None:
    make, count, says_less = MORE[name]
    content = make()
    path = put(tmp_path / "audio", content)
    (tmp_path / "scratch").mkdir()
    ark = b"before AUDIO\4" + len(content).to_bytes(4, "little") + content + b"after AUDIO\4" + bytes(4)
    entry = {
        "file": path,
        "pipe": f"cat {path} |",
        "unknown pipe": f"cat < {path} | cat |",
        "ark": f"{put(tmp_path / 'x.ark', ark)}:7",
    }[kind]
    samples, surplus = read(entry, tmp_path / "scratch")
    assert 0 <= len(samples) - count <= tolerance(name) and (surplus > 0) == says_less, (len(samples), surplus)
    if not tolerance(name) and "ogg" not in name and "opus" not in name and "law" not in name:
        wave = samples if samples.dtype == np.int16 else samples * 32768
        assert np.abs(wave[:COUNT] - np.frombuffer(PCM, "<i2")).max() <= 2
    assert not list((tmp_path / "scratch").iterdir())


RIFF_ARKS = {
    "right": ({}, COUNT),
    "sizes 0": ({"data_size": 0, "riff_size": 0}, COUNT),
    "sizes 0 and 36": ({"data_size": 0, "riff_size": 36}, COUNT),
    "a quarter": ({"data_size": 16000, "riff_size": 16036}, COUNT),
    "place-holders": ({"data_size": 0xFFFFFFFF, "riff_size": 0xFFFFFFFF}, COUNT),
}


@pytest.mark.parametrize("name", RIFF_ARKS)
def test_a_wav_in_an_ark_ends_before_the_next(tmp_path: Path, name: str) -> None:
    sizes, count = RIFF_ARKS[name]
    pcm = PCM[:-2] + b"\0\0"  # a sample of printable bytes before a key cannot be told from it
    put(tmp_path / "w.ark", b"a " + riff(pcm, **sizes) + b"utterance-2 " + riff() + b"c " + riff(pcm, **sizes))
    first = len(riff(pcm)) + 2
    for offset in (2, first + len("utterance-2 "), first + len("utterance-2 ") + len(riff()) + 2):
        assert len(read(f"{tmp_path}/w.ark:{offset}", tmp_path)[0]) == count, offset


def test_sizes_that_wrapped_at_4_gb(tmp_path: Path) -> None:
    """The file is a hole but for its ends: 4 GB of zeros that take no room."""
    size = (1 << 32) + 64000
    path = tmp_path / "long.wav"
    with open(path, "wb") as stream:
        stream.write(riff(b"", data_size=size % (1 << 32), riff_size=0))
        stream.seek(44 + size - len(PCM))
        stream.write(PCM + TAGS)
    with open_recording(str(path), tmp_path) as recording:
        assert recording.frames == size // 2 and recording.surplus_seconds > 100000
        end = recording.frames
        assert np.array_equal(np.concatenate(list(recording.blocks(end - COUNT, end, None))), np.frombuffer(PCM, "<i2"))


CUT: dict[str, tuple[Callable[[], bytes], int]] = {  # contents, and the most that may be there
    "wav": (lambda: riff()[:40000], 19980),
    "wav whose size is too large": (lambda: riff(data_size=640000), COUNT),
    "rf64": (lambda: encoded("RF64")[:40000], 19960),
    "w64": (lambda: encoded("W64")[:40000], 19960),
    "aiff": (lambda: encoded("AIFF")[:40000], 20000),
    "caf": (lambda: encoded("CAF")[:40000], 20000),
    "au": (lambda: encoded("AU")[:40000], 20000),
    "sphere": (lambda: encoded("NIST")[:40000], 20000),
    "voc": (lambda: encoded("VOC")[:40000], 20000),
    "flac": (lambda: encoded("FLAC")[:20000], 20000),
    "flac whose total is too large": (lambda: flac_with_total(99000), COUNT),
    "flac of unknown total": (lambda: flac_with_total(0)[:20000], 20000),
    "gsm": (lambda: encoded("WAV", "GSM610")[:4000], 20000),
    "opus": (lambda: encoded("OGG", "OPUS")[:-3000], COUNT),
    "mp3": (lambda: mp3(QUIET_LOUD)[: len(mp3(QUIET_LOUD)) * 3 // 4], 2 * COUNT),
    "second of two wavs": (lambda: riff() + riff()[:40000], COUNT + 19980),
}


@pytest.mark.parametrize("name", CUT)
def test_less_is_rejected_unless_it_is_to_be_kept(tmp_path: Path, name: str) -> None:
    make, most = CUT[name]
    path = put(tmp_path / "audio", make())
    for entry in (path, f"cat < {path} |"):
        with pytest.raises(RejectedAudio, match=r"truncated.*--keep_truncated true"):
            read(entry, tmp_path)
        samples, _ = read(entry, tmp_path, ReadRules(keep_truncated=True))
        assert 0.3 * most <= len(samples) <= most


@pytest.mark.parametrize("missing", [0, 160, 1500, 1700])
def test_a_little_less_is_tolerated(tmp_path: Path, missing: int) -> None:
    """0.1 s are 1600 samples."""
    wav = riff()[: -2 * missing] if missing else riff()
    flac = flac_with_total(COUNT + missing)
    for content, count in ((wav, COUNT - missing), (flac, COUNT)):
        path = put(tmp_path / "audio", content)
        if missing <= 1600:
            assert len(read(path, tmp_path)[0]) == count
            continue
        with pytest.raises(RejectedAudio, match="truncated"):
            read(path, tmp_path)
        assert len(read(path, tmp_path, ReadRules(truncation_tolerance=0.2))[0]) == count


CODECS = [("WAV", "GSM610"), ("AIFF", "GSM610"), ("W64", "GSM610"), ("AU", "G721_32"), ("WAV", "G721_32"),
          ("AU", "G723_24"), ("WAV", "NMS_ADPCM_16"), ("AIFF", "DWVW_16"), ("WAV", "MS_ADPCM"), ("WAV", "IMA_ADPCM"),
          ("AIFF", "IMA_ADPCM"), ("CAF", "ALAC_16"), ("WAV", "ULAW"), ("AIFF", "ALAW"), ("VOC", "PCM_16"),
          ("MAT5", "PCM_16")]  # fmt: skip


@pytest.mark.parametrize(("container", "subtype"), CODECS)
def test_codecs_that_cannot_seek_give_segments_in_any_order(tmp_path: Path, container: str, subtype: str) -> None:
    path = put(tmp_path / "audio", encoded(container, subtype, WAVE, 8000))
    whole, _ = read(path, tmp_path)
    assert 0 <= len(whole) - COUNT <= 700 and np.corrcoef(whole[:COUNT], WAVE)[0, 1] > 0.9
    with open_recording(path, tmp_path) as recording:
        for start, stop in ((20000, 24000), (1000, 3000), (3000, 9000), (31000, 32000)):
            assert np.array_equal(np.concatenate(list(recording.blocks(start, stop, None))), whole[start:stop])


def test_segments_of_a_header_that_lies(tmp_path: Path) -> None:
    """Inside what is there all is well; beyond it is not."""
    for content in (riff(data_size=16000, riff_size=16036), flac_with_total(8000), encoded("OGG", "OPUS") * 2):
        with open_recording(put(tmp_path / "more", content), tmp_path) as recording:
            assert recording.span(1.0, 1.75) == (16000, 28000)
            assert recording.span(1.0, -1) == (16000, recording.frames)
    with open_recording(put(tmp_path / "less", riff()[:40000]), tmp_path) as recording:  # ends at 1.249 s
        assert recording.span(0.25, 1.0) == (4000, 16000)
        for start, end in ((1.0, 1.6), (1.0, -1), (1.5, 1.8)):
            with pytest.raises(RejectedAudio, match="truncated"):
                recording.span(start, end)


def test_recordings_of_two_rates_in_one_file_are_refused(tmp_path: Path) -> None:
    for container, subtype in (("OGG", "OPUS"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")):
        content = encoded(container, subtype) + encoded(container, subtype, WAVE[::3], 8000)
        with pytest.raises(RejectedAudio, match=r"not_audio.*8000 Hz in one file"):
            read(put(tmp_path / "audio", content), tmp_path)


@pytest.mark.parametrize("rate", [8, 999, 1_000_001, 400_000_000])
def test_rates_that_no_recorder_has(tmp_path: Path, rate: int) -> None:
    fmt = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    with pytest.raises(RejectedAudio, match=f"bad_rate.*{rate} Hz by its header; expected 1000 to 1000000 Hz"):
        read(put(tmp_path / "a.wav", riff(fmt=fmt)), tmp_path)


def test_right_files_are_read_by_the_decoder_itself(tmp_path: Path) -> None:
    for container in ("WAV", "FLAC", "W64", "AIFF"):
        with open_recording(put(tmp_path / "audio", encoded(container)), tmp_path) as recording:
            assert recording.audio.is_plain and recording.frames == COUNT
    assert soundfile.info(tmp_path / "audio").frames == COUNT and RATE == 16000


def test_flac_behind_a_tag(tmp_path: Path) -> None:
    """Some taggers of MP3 write ID3v2 before FLAC."""
    tag = b"ID3\3\0\0" + bytes((0, 0, 2, 0)) + bytes(256)
    for total in (0, 8000, COUNT):
        assert len(read(put(tmp_path / "a.flac", tag + flac_with_total(total)), tmp_path)[0]) == COUNT


def test_floats_of_a_decoder_keep_their_scale(tmp_path: Path) -> None:
    """AAC comes as floats within 1, whatever the floats of other files of the set are."""
    path = str(write_with_pyav(tmp_path / "a.m4a", WAVE))
    expected, _ = read(path, tmp_path)
    assert np.array_equal(read(path, tmp_path, ReadRules(float_full_scale=32768))[0], expected)


def test_messages_name_the_pipe_and_no_file_that_is_gone(tmp_path: Path) -> None:
    for content in (riff()[:30000], b"no audio", flac_with_total(0)[:20000]):
        entry = f"cat < {put(tmp_path / 'audio', content)} |"
        with pytest.raises(RejectedAudio) as caught:
            read(entry, tmp_path)
        assert entry in caught.value.detail and ".pipe." not in caught.value.detail
