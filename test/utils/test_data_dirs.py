"""copy, subset, combine, split, fix: directories in, the exact new tables out."""

import random

import pytest
from data_directory import keys, tables

WELL_FORMED = ("validate_data_dir.sh", "--no-feats", "--no-text")


def test_copy_with_prefixes(run, write, good, tmp_path) -> None:
    write("in dir", good)
    result = run("copy_data_dir.sh", "--utt-prefix", "p-", "--spk-prefix", "p-", "in dir", "out dir")
    assert result.returncode == 0, result.stderr
    copied = tables(tmp_path / "out dir")
    assert copied["utt2spk"] == "p-s1-a p-s1\np-s1-b p-s1\np-s2-c p-s2\np-s2-d p-s2\n"
    assert copied["spk2utt"] == "p-s1 p-s1-a p-s1-b\np-s2 p-s2-c p-s2-d\n"
    assert copied["wav.scp"].splitlines()[1] == "p-s1-b flac -c -d -s x/b.flac |"
    assert "utt2uniq" not in copied  # as in Kaldi: the source has none
    assert copied["phones.ctm"].startswith("p-s1-a 1 0.00 0.50 w\n") and copied["spk2gender"] == "p-s1 f\np-s2 m\n"


def test_copy_without_options_is_the_same(run, write, good, tmp_path) -> None:
    write("a", good)
    assert run("copy_data_dir.sh", "a", "b").returncode == 0
    assert tables(tmp_path / "b") == good


def test_copy_keeps_recordings_and_sorts_after_a_suffix(run, write, tmp_path) -> None:
    write("a", {"utt2spk": "u u\nu! u!\n", "spk2utt": "u u\nu! u!\n", "segments": "u r 0 1\nu! r 1 2\n",
                "wav.scp": "r a  b.wav\n"})  # fmt: skip
    result = run("copy_data_dir.sh", "--utt-suffix", "-x", "--spk-suffix", "-x", "a", "b")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "b" / "segments").read_text() == "u!-x r 1 2\nu-x r 0 1\n"
    assert (tmp_path / "b" / "wav.scp").read_text() == "r a  b.wav\n"


@pytest.mark.parametrize(
    "command", ["copy_data_dir.sh {} b", "subset_data_dir.sh {} 2 b", "combine_data.sh --skip_fix true b {} a"]
)
def test_relative_paths_of_another_recipe_lead_there(run, write, good, tmp_path, command) -> None:
    """A recipe's paths are relative to its own folder: in a copy for another recipe they name the same files."""
    (tmp_path / "other corpus/ssl1/data/audio").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    entries = {"s1-a": "data/audio/a b.wav", "s1-b": "data/audio/x.ark:12", "s2-c": "flac -dc data/audio/c.flac |",
               "s2-d": "/nowhere/d.wav"}  # fmt: skip
    for name in ("a b.wav", "x.ark"):
        (tmp_path / "other corpus/ssl1/data/audio" / name).touch()
    wav_scp = "".join(f"{name} {entry}\n" for name, entry in entries.items())
    write("other corpus/ssl1/data/dev", good | {"wav.scp": wav_scp})
    other = {name: text.replace("s1-", "t1-").replace("s2-", "t2-") for name, text in good.items()}
    write("here/a", other)
    words = [word.format("../other corpus/ssl1/data/dev") for word in command.split(" ")]
    result = run(*words, folder="here")
    assert result.returncode == 0, result.stderr
    copied = dict(line.split(" ", 1) for line in (tmp_path / "here/b/wav.scp").read_text().splitlines())
    led = entries | {name: f"../other corpus/ssl1/{entries[name]}" for name in ("s1-a", "s1-b")}
    assert {name: entry for name, entry in copied.items() if name in led}.items() <= led.items()
    assert copied["s1-b"] == led["s1-b"] and "2 paths are relative to ../other corpus/ssl1" in result.stdout


SUBSETS = [
    # arguments, utterances
    ("--first a 2 b", "s1-a s1-b"),
    ("--last a 1 b", "s2-d"),
    ("a 2 b", "s1-b s2-d"),
    ("--shortest a 2 b", "s1-a s2-c"),
    ("--per-spk a 1 b", "s1-a s2-c"),
    ("--per-spk a 3 b", "s1-a s1-b s2-c s2-d"),
    ("--spk-list list a b", "s2-c s2-d"),
    ("--utt-list list a b", "s1-a"),
]


@pytest.mark.parametrize(("arguments", "utterances"), SUBSETS)
def test_subset(run, write, good, tmp_path, arguments, utterances) -> None:
    write("a", good)
    write(".", {"list": "s2\ns1-a\nunknown\n"})
    result = run("subset_data_dir.sh", *arguments.split())
    assert result.returncode == 0, result.stderr
    expected_ids = utterances.split()
    assert result.stdout == f"subset_data_dir.sh: reducing #utt from 4 to {len(expected_ids)}\n"
    small = tables(tmp_path / "b")
    assert set(small) == set(good)
    for name in ("utt2spk", "wav.scp", "text", "utt2lang", "utt2dur"):
        assert keys(small[name]) == expected_ids
    assert set(keys(small["phones.ctm"])) == set(expected_ids) & {"s1-a", "s2-c"}
    assert set(keys(small["spk2gender"])) == {name[:2] for name in expected_ids}
    assert run(*WELL_FORMED, "b").returncode == 0


def test_subset_of_whole_speakers(run, write, good, tmp_path) -> None:
    write("a", good)
    assert run("subset_data_dir.sh", "--speakers", "a", 1, "b").returncode == 0
    assert len({name[:2] for name in keys((tmp_path / "b" / "utt2spk").read_text())}) == 1
    assert run("subset_data_dir.sh", "--speakers", "a", 3, "c").returncode == 0
    assert (tmp_path / "c" / "utt2spk").read_text() == good["utt2spk"]


def test_subset_of_segments_filters_recordings(run, write, tmp_path) -> None:
    write("a", {"utt2spk": "u1 s\nu2 s\n", "spk2utt": "s u1 u2\n", "segments": "u1 r1 0 1\nu2 r2 0 1\n",
                "wav.scp": "r1 x\nr2 y\n", "reco2dur": "r1 5\nr2 6\n"})  # fmt: skip
    assert run("subset_data_dir.sh", "--last", "a", 1, "b").returncode == 0
    assert (tmp_path / "b" / "wav.scp").read_text() == "r2 y\n"
    assert (tmp_path / "b" / "reco2dur").read_text() == "r2 6\n"


@pytest.mark.parametrize("arguments", ["", "a 5 b", "a x b", "a 0 b", "--first a b", "--spk-list none a b",
                                       "nowhere 1 b", "--utt-list empty a b", "a 1 a"])  # fmt: skip
def test_subset_mistakes_write_nothing(run, write, good, tmp_path, arguments) -> None:
    write("a", good)
    write(".", {"empty": ""})
    result = run("subset_data_dir.sh", *arguments.split())
    assert result.returncode == 1 and result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "b").exists() and tables(tmp_path / "a") == good


def test_combine(run, write, good, tmp_path) -> None:
    write("b", {name: text.replace("s1", "t1").replace("s2", "t2") for name, text in good.items()})
    write("a", {name: text for name, text in good.items() if name != "utt2lang"})
    result = run("combine_data.sh", "--extra-files", "extra", "all in", "b", "a")
    assert result.returncode == 0, result.stderr
    assert "**not combining utt2lang as it does not exist everywhere**" in result.stdout
    both = tables(tmp_path / "all in")
    assert keys(both["utt2spk"]) == ["s1-a", "s1-b", "s2-c", "s2-d", "t1-a", "t1-b", "t2-c", "t2-d"]
    assert both["phones.ctm"].count("\n") == 6 and keys(both["phones.ctm"])[:3] == ["s1-a", "s1-a", "s2-c"]
    assert "utt2lang" not in both and run(*WELL_FORMED, "all in").returncode == 0


def test_combine_may_replace_a_source(run, write, good, tmp_path) -> None:
    write("a", good)
    write("b", {name: text.replace("s1", "t1").replace("s2", "t2") for name, text in good.items()})
    assert run("data/combine_data.sh", "--skip-fix", "true", "a", "a", "b").returncode == 0
    assert len(keys((tmp_path / "a" / "utt2spk").read_text())) == 8
    assert run("combine_data.sh", "a", "a", "nowhere").returncode == 1
    assert len(keys((tmp_path / "a" / "utt2spk").read_text())) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_combine_makes_segments_where_some_have_them(run, write, tmp_path) -> None:
    write("a", {"utt2spk": "u s\n", "wav.scp": "u x.wav\n", "utt2dur": "u 2.5\n"})
    write("b", {"utt2spk": "v t\n", "wav.scp": "r y.wav\n", "segments": "v r 0 1\n", "reco2dur": "r 9\n"})
    result = run("combine_data.sh", "c", "a", "b")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "c" / "segments").read_text() == "u u 0 2.5\nv r 0 1\n"
    assert not (tmp_path / "c" / "reco2dur").exists()  # it is not everywhere


def test_combine_gives_every_utterance_an_original_where_some_have_one(run, write, tmp_path) -> None:
    write("a", {"utt2spk": "u s\n", "wav.scp": "u x.wav\n", "reco2dur": "u 2\n"})
    write("b", {"utt2spk": "v t\n", "wav.scp": "v y.wav\n", "utt2uniq": "v original\n", "reco2dur": "v 3\n"})
    assert run("combine_data.sh", "--extra_files", "utt2uniq", "c", "a", "b").returncode == 0
    combined = tables(tmp_path / "c")
    assert combined["utt2uniq"] == "u u\nv original\n" and combined["reco2dur"] == "u 2\nv 3\n"


def test_combine_keeps_one_frame_shift_and_refuses_two(run, write, tmp_path) -> None:
    for name, shift in (("a", "0.01"), ("b", "0.01"), ("c", "0.02")):
        entry = {"utt2spk": f"{name} {name}\n", "feats.scp": f"{name} x.ark:1\n", "frame_shift": f"{shift}\n"}
        write(name, entry)
    assert run("combine_data.sh", "d", "a", "b").returncode == 0
    assert (tmp_path / "d" / "frame_shift").read_text() == "0.01\n"
    result = run("combine_data.sh", "e", "a", "c")
    assert result.returncode == 1 and "a/frame_shift and c/frame_shift differ" in result.stderr
    assert not (tmp_path / "e").exists()


def test_copy_onto_an_older_copy_leaves_nothing_of_it(run, write, good, tmp_path) -> None:
    write("a", {name: text for name, text in good.items() if name not in ("text", "utt2lang", "phones.ctm")})
    write("b", {"text": "old words\n", "segments": "old r 0 1\n", "phones.ctm": "old 1 0 1 a\n", "notes": "mine\n"})
    result = run("copy_data_dir.sh", "a", "b")
    assert result.returncode == 0 and "b/text is of an older state" in result.stdout
    assert set(tables(tmp_path / "b")) == {*good, "notes"} - {"text", "utt2lang", "phones.ctm"}
    assert (tmp_path / "b" / ".backup" / "text").read_text() == "old words\n"


def test_a_file_called_transcript_is_nobodys_table(run, write, good, tmp_path) -> None:
    folder = write("a", {**good, "transcript": "anything, in any order\n\nat all"})
    assert run("validate_data_dir.sh", "--no-feats", "a").returncode == 0
    assert run("fix_data_dir.sh", "a").returncode == 0
    assert run("subset_data_dir.sh", "--first", "a", 2, "b").returncode == 0
    assert (folder / "transcript").read_text().endswith("at all") and not (tmp_path / "b" / "transcript").exists()


@pytest.mark.parametrize("option", ["--per-spk", "--speakers", "--first", "--shortest"])
def test_more_utterances_than_there_are_is_an_error(run, write, good, tmp_path, option: str) -> None:
    write("a", good)
    result = run("subset_data_dir.sh", option, "a", 5, "b")
    assert result.returncode == 1 and "a has 4 utterances, 5 were asked for" in result.stderr
    assert not (tmp_path / "b").exists()


def test_split_by_speaker_and_by_utterance(run, write, good, tmp_path) -> None:
    write("a d", good)
    assert run("split_data.sh", "a d", 2).returncode == 0
    assert tables(tmp_path / "a d" / "split2" / "1")["utt2spk"] == "s1-a s1\ns1-b s1\n"
    assert set(tables(tmp_path / "a d" / "split2" / "2")) == set(good)
    before = (tmp_path / "a d" / "split2" / "1" / "utt2spk").stat().st_mtime_ns
    assert run("split_data.sh", "a d", 2).returncode == 0
    assert (tmp_path / "a d" / "split2" / "1" / "utt2spk").stat().st_mtime_ns == before
    assert run("split_data.sh", "--per-utt", "a d", 4).returncode == 0
    parts = [tables(tmp_path / "a d" / "split4utt" / str(index)) for index in (1, 2, 3, 4)]
    assert "".join(part["wav.scp"] for part in parts) == good["wav.scp"]
    assert parts[1]["spk2gender"] == "s1 f\n" and parts[1]["phones.ctm"] == ""
    for arguments in (("a d", 3), ("a d", 0), ("a d",), ("--per-utt", "a d", 5)):
        result = run("split_data.sh", *arguments)
        assert result.returncode == 1 and "Traceback" not in result.stderr
    assert not (tmp_path / "a d" / "split3").exists()


def test_fix_repairs_and_keeps_a_backup(run, write, good, tmp_path) -> None:
    damaged = dict(good)
    damaged["utt2spk"] = "s2-d s2\ns1-a s1\ns1-a s9\ns2-c s2\ns1-b s1\n"
    damaged["text"] = "\ufeffs2-c x\r\ns1-b y\r\n\r\ns1-a z"
    damaged["wav.scp"] = "s1-a a\ns1-b b\ns2-c c\ns2-d d\nzz z\n"
    write("d", damaged)
    result = run("fix_data_dir.sh", "--utt_extra_files", "more", "d")
    assert result.returncode == 0, result.stderr
    assert "kept 3 utterances out of 4\n" in result.stdout
    assert result.stdout.endswith("fix_data_dir.sh: old files are kept in d/.backup\n")
    fixed = tables(tmp_path / "d")
    assert fixed["text"] == "s1-a z\ns1-b y\ns2-c x\n" and fixed["wav.scp"] == "s1-a a\ns1-b b\ns2-c c\n"
    assert fixed["spk2utt"] == "s1 s1-a s1-b\ns2 s2-c\n"
    assert tables(tmp_path / "d" / ".backup") == damaged
    again = run("fix_data_dir.sh", "d")
    assert again.stdout == "fix_data_dir.sh: kept all 3 utterances.\nfix_data_dir.sh: old files are kept in d/.backup\n"


def test_fix_filters_segments_and_recordings(run, write, tmp_path) -> None:
    write("d", {"utt2spk": "u1 s\nu2 s\nu3 s\n", "segments": "u3 r3 0 1\nu1 r1 0 1\nu2 gone 0 1\n",
                "wav.scp": "r1 x\nr2 y\nr3 z\n", "text": "u1 a\nu2 b\n"})  # fmt: skip
    assert run("fix_data_dir.sh", "d").returncode == 0
    fixed = tables(tmp_path / "d")
    assert fixed["segments"] == "u1 r1 0 1\n" and fixed["wav.scp"] == "r1 x\n" and fixed["utt2spk"] == "u1 s\n"


def test_fix_that_cannot_changes_nothing(run, write, good, tmp_path) -> None:
    for name, content in (("text", "other x\n"), ("utt2spk", "a-1 s2\nb-1 s1\n"), ("utt2spk", "s1-a\n")):
        damaged = {**good, name: content}
        if name == "utt2spk":
            damaged = {name: content}
        write(f"d-{len(content)}", damaged)
        result = run("fix_data_dir.sh", f"d-{len(content)}")
        assert result.returncode == 1 and "Traceback" not in result.stderr
        assert tables(tmp_path / f"d-{len(content)}") == damaged


@pytest.mark.parametrize("seed", range(6))
def test_fix_makes_any_damaged_directory_valid(run, write, tmp_path, seed) -> None:
    generator = random.Random(seed)
    names = sorted(f"s{generator.randrange(5)}-u{number}" for number in range(40))
    whole = {
        "utt2spk": [f"{name} {name[:2]}" for name in names],
        "wav.scp": [f"{name} /a b/{name}.wav" for name in names],
        "text": [f"{name} слово {number}" for number, name in enumerate(names)],
        "utt2lang": [f"{name} xx" for name in names],
        "utt2dur": [f"{name} {generator.random() + 0.1:.3f}" for name in names],
    }
    common = set(names)
    for name, lines in whole.items():
        lost = set(generator.sample(names, 3))
        lines[:] = [line for line in lines if line.split()[0] not in lost]
        common -= lost if name != "utt2dur" else set()
        lines += generator.sample(lines, 4) + [f"zz-{seed} x"] * (name != "utt2spk")
        generator.shuffle(lines)
    ending = ["\n", "\r\n"][seed % 2]
    write("d", {name: ending.join(lines) + ending for name, lines in whole.items()})
    assert run(*WELL_FORMED, "d").returncode == 1
    result = run("fix_data_dir.sh", "d")
    assert result.returncode == 0, result.stderr
    assert keys((tmp_path / "d" / "utt2spk").read_text()) == sorted(common)
    (tmp_path / "d" / "utt2dur").unlink()  # Kaldi does not drop utterances that lack a duration
    result = run(*WELL_FORMED, "d")
    assert result.returncode == 0, result.stderr


def test_scoring_files(run, write, good, tmp_path) -> None:
    good.update(stm=";; comment\ns2-d 1 x\ns1-a 1 y\n", glm="a => b\n")
    write("a", good)
    assert run("fix_data_dir.sh", "a").returncode == 0 and tables(tmp_path / "a") == good
    assert run("copy_data_dir.sh", "a", "b").returncode == 0 and tables(tmp_path / "b") == good
    assert run("subset_data_dir.sh", "--first", "a", 1, "c").returncode == 0
    small = tables(tmp_path / "c")
    assert small["stm"] == "s1-a 1 y\n" and small["glm"] == good["glm"]
