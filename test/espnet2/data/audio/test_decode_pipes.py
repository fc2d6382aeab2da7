"""Which pipes of wav.scp are understood without the program, and what they mean."""

import pytest

from espnet2.data.audio.pipes import PipePlan, missing_programs, parse_pipe

UNDERSTOOD = {
    "flac -c -d -s /corpus/a.flac |": PipePlan("/corpus/a.flac"),
    "flac -cds a.flac |": PipePlan("a.flac"),
    "flac --decode --stdout --silent a.flac|": PipePlan("a.flac"),
    "/opt/bin/flac -c -d -s a.flac |": PipePlan("a.flac"),
    "cat 'with space (1).wav' |": PipePlan("with space (1).wav"),
    "sph2pipe -f wav a.sph |": PipePlan("a.sph"),
    "sph2pipe -f wav -p -c 2 a.sph |": PipePlan("a.sph", channel=1),
    "sox a.mp3 -r 16000 -c 1 -b 16 -t wav - |": PipePlan("a.mp3", rates=(16000.0,), mix=True),
    "sox -G a.wav -t wav - rate 8k |": PipePlan("a.wav", rates=(8000.0,)),
    "sox -t wav a.wav -t wav - remix 2 |": PipePlan("a.wav", channel=1),
    "sox a.wav -t wav - speed 0.9 |": PipePlan("a.wav", speed=0.9),
    "sox --vol-is-not-an-option a.wav -t wav - |": None,
    "flac -c -d -s a.flac | sox -t wav - -t wav - speed 1.1 |": PipePlan("a.flac", speed=1.1),
    "sph2pipe -f wav -p -c 1 a.sph | sox -t wav - -r 16k -t wav - | sox -t wav - -t wav - speed 0.9 |": PipePlan(
        "a.sph", channel=0, rates=(16000.0,), speed=0.9
    ),
    "sox a.wav -t wav - vol 0.5 |": PipePlan("a.wav", gain=0.5),
    "ffmpeg -i a.m4a -f wav -ar 16000 -ac 1 - |": PipePlan("a.m4a", rates=(16000.0,), mix=True),
    "ffmpeg -i a.mp3 -f wav -ar 16000 -ab 16 -ac 1 - |": PipePlan("a.mp3", rates=(16000.0,), mix=True),
    "ffmpeg -nostdin -v quiet -i 'a b.mp3' -f wav -acodec pcm_s16le pipe:1 |": PipePlan("a b.mp3"),
}
NOT_UNDERSTOOD = [
    "flac -c -d -s --skip=100 a.flac |",
    "flac -c -s a.flac |",  # encodes
    "sph2pipe -f raw a.sph |",
    "sph2pipe -f wav -t 1:2 a.sph |",
    "sox a.wav -t wav - trim 0 1 |",
    "sox a.wav b.wav -t wav - |",
    "sox -r 8000 -t raw a.pcm -t wav - |",
    "sox a.wav b.wav |",
    "sox a.wav -t wav - speed 0 |",
    "sox a.wav -t wav - remix 1,2 |",
    "ffmpeg -ss 3 -i a.mp3 -f wav - |",
    "ffmpeg -i a.mp3 -f s16le - |",
    "ffmpeg -i a.mp3 -ac 2 -f wav - |",
    "sox $HOME/a.wav -t wav - |",
    "cat a.wav; rm -rf b |",
    "cat a.wav > b.wav |",
    "cat a.wav b.wav |",
    "cat *.wav |",
    "flac -c -d -s 'a.flac |",
    "sox a.wav -t wav - | cat b.wav |",
    "wav-reverberate a.wav - |",
    "|",
]


@pytest.mark.parametrize("command", UNDERSTOOD)
def test_understood(command):
    assert parse_pipe(command) == UNDERSTOOD[command]


@pytest.mark.parametrize("command", NOT_UNDERSTOOD)
def test_left_to_the_shell(command):
    assert parse_pipe(command) is None


def test_missing_programs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "sox").write_text("#!/bin/sh\n")
    (tmp_path / "sox").chmod(0o755)
    assert missing_programs("flac -c -d -s a.flac | sox -t wav - -t wav - speed 0.9 |") == ["flac"]
    assert missing_programs("sox a.wav -t wav - |") == []
    assert missing_programs("echo $(date) |") == []
