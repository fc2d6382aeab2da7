"""perturb_data_dir_speed.sh, resample_data_dir.sh, remove_dup_utts.sh: directories in, the exact new tables out."""

import numpy as np
import pytest
import soundfile
from data_directory import keys, tables


def test_speed(run, write, good, tmp_path) -> None:
    good["reco2dur"] = good["utt2dur"]
    good["wav.scp"] = good["wav.scp"].replace("x/a.wav", "x y/a.wav").replace("x/d.wav", "x/d.flac")
    write("a", good)
    result = run("perturb_data_dir_speed.sh", "0.9", "a", "b")
    assert result.returncode == 0, result.stderr
    fast = tables(tmp_path / "b")
    assert fast["utt2spk"].splitlines()[0] == "sp0.9-s1-a sp0.9-s1"
    assert fast["wav.scp"].splitlines() == [
        "sp0.9-s1-a sox -t wav 'x y/a.wav' -t wav - speed 0.9 |",
        "sp0.9-s1-b flac -c -d -s x/b.flac | sox -t wav - -t wav - speed 0.9 |",
        "sp0.9-s2-c wav-copy x/c.ark:17 - | sox -t wav - -t wav - speed 0.9 |",
        "sp0.9-s2-d sox -t flac x/d.flac -t wav - speed 0.9 |",
    ]
    assert fast["utt2dur"] == "sp0.9-s1-a 1.11111\nsp0.9-s1-b 2.77778\nsp0.9-s2-c 1\nsp0.9-s2-d 3.33333\n"
    assert fast["phones.ctm"].splitlines()[1] == "sp0.9-s1-a 1 0.5556 0.5000 ah"
    assert fast["utt2uniq"].startswith("sp0.9-s1-a s1-a\n") and fast["text"].startswith("sp0.9-s1-a ONE TWO\n")


def test_speed_of_segments(run, write, tmp_path) -> None:
    write("a", {"utt2spk": "s-u s\ns-v s\n", "spk2utt": "s s-u s-v\n", "segments": "s-u r 0.9 1.8\ns-v r 2 2.01\n",
                "wav.scp": "r a.wav\n", "utt2dur": "s-u 0.9\ns-v 0.01\n", "reco2dur": "r 9\n"})  # fmt: skip
    assert run("perturb_data_dir_speed.sh", "1.1", "a", "b").returncode == 0
    fast = tables(tmp_path / "b")
    assert fast["segments"] == "sp1.1-s-u sp1.1-r 0.82 1.64\n" and fast["utt2spk"] == "sp1.1-s-u sp1.1-s\n"
    assert fast["wav.scp"] == "sp1.1-r sox -t wav a.wav -t wav - speed 1.1 |\n"
    assert fast["reco2dur"] == "sp1.1-r 8.18182\n"
    assert run("perturb_data_dir_speed.sh", "--include-spk-prefix", "false", "0.9", "a", "c").returncode == 0
    slow = tables(tmp_path / "c")
    assert slow["segments"].startswith("s-u-sp0.9 r-sp0.9 1.00 2.00\n")
    assert slow["utt2spk"].startswith("s-u-sp0.9 s\n") and slow["reco2dur"] == "r-sp0.9 10\n"


def test_speed_learns_lengths_of_pipes_and_of_segments_to_the_end(run, write, tmp_path) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros(18000), 8000)
    write("a", {"utt2spk": "u s\nv s\n", "spk2utt": "s u v\n", "wav.scp": "r cat x.wav |\n",
                "segments": "u r 0 1\nv r 1 -1\n"})  # fmt: skip
    assert run("validate_data_dir.sh", "--no-feats", "--no-text", "a").returncode == 0
    assert run("perturb_data_dir_speed.sh", "0.9", "a", "b").returncode == 0
    assert tables(tmp_path / "a")["utt2dur"] == "u 1\nv 1.25\n"
    slow = tables(tmp_path / "b")
    assert slow["segments"] == "sp0.9-u sp0.9-r 0.00 1.11\nsp0.9-v sp0.9-r 1.11 -1\n"
    assert slow["reco2dur"] == "sp0.9-r 2.5\n" and slow["utt2dur"] == "sp0.9-u 1.11111\nsp0.9-v 1.38889\n"
    write("a", {"segments": "u r 0 1\nv r 1 -2\n"})
    assert "the end -2 is not after the begin 1" in run("validate_data_dir.sh", "--no-feats", "--no-text", "a").stderr


@pytest.mark.parametrize("arguments", [(), ("fast", "a", "b"), ("0.9", "a", "a"), ("0.9", "none", "b")])
def test_speed_mistakes(run, write, good, arguments) -> None:
    write("a", good)
    result = run("perturb_data_dir_speed.sh", *arguments)
    assert result.returncode == 1 and result.stderr and "Traceback" not in result.stderr


def test_three_speeds(run, write, good, tmp_path) -> None:
    good["reco2dur"] = good["utt2dur"]
    write("a", good)
    result = run("data/perturb_data_dir_speed_3way.sh", "a", "b")
    assert result.returncode == 0, result.stderr
    assert len(keys(tables(tmp_path / "b")["utt2spk"])) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_resample(run, write, good, tmp_path) -> None:
    good["feats.scp"] = "s1-a f\n"
    write("a", good)
    assert run("data/resample_data_dir.sh", 8000, "a").returncode == 0
    assert (tmp_path / "a" / "wav.scp").read_text().splitlines() == [
        "s1-a cat x/a.wav | sox -t wav - -c 1 -b 16 -t wav - rate 8000 |",
        "s1-b flac -c -d -s x/b.flac | sox -t wav - -c 1 -b 16 -t wav - rate 8000 |",
        "s2-c wav-copy x/c.ark:17 - | sox -t wav - -c 1 -b 16 -t wav - rate 8000 |",
        "s2-d cat x/d.wav | sox -t wav - -c 1 -b 16 -t wav - rate 8000 |",
    ]
    assert not (tmp_path / "a" / "feats.scp").exists() and (tmp_path / "a" / ".backup" / "feats.scp").exists()
    assert run("data/resample_data_dir.sh", "8k", "a").returncode == 1


def test_remove_duplicates(run, write, tmp_path) -> None:
    names = [f"s-{number:03d}" for number in range(60)]
    write("a", {
        "utt2spk": "".join(f"{name} s\n" for name in names),
        "spk2utt": "s " + " ".join(names) + "\n",
        "wav.scp": "".join(f"{name} {name}.wav\n" for name in names),
        "text": "".join(f"{name} {'uh huh' if number % 2 else number}\n" for number, name in enumerate(names)),
    })  # fmt: skip
    result = run("data/remove_dup_utts.sh", 3, "a", "b")
    assert result.returncode == 0, result.stderr
    kept = tables(tmp_path / "b")
    # The k-th "uh huh" stays where ((103349 k) mod 71147) / 71147 < 3 / 30.
    stay = {names[2 * k - 1] for k in range(1, 31) if (103349 * k) % 71147 < 71147 / 10}
    assert set(keys(kept["text"])) == {name for name in names if int(name[2:]) % 2 == 0} | stay and len(stay) == 2
    assert keys(kept["wav.scp"]) == keys(kept["text"]) == keys(kept["utt2spk"])
    assert not (tmp_path / "b" / ".backup").exists()
    assert run("data/remove_dup_utts.sh", 1, "a", "c").returncode == 1
