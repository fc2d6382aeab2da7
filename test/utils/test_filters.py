"""Filters behind the .pl names: arguments and input in, the exact output and exit code out (golden tables)."""

from pathlib import Path

import pytest

FILES = {
    "ids": "a\nc 9\n",
    "map": "a x y\nb\nc z\n",
    "symbols": "<eps> 0\na 1\nb 02\n<unk> 3\n",
    "scp": "a 1\nb 2\nc 3\nd 4\ne 5\n",
    "empty_line": "a 1\n\n",
}

GOLDEN = [
    # script, arguments, standard input, output
    ("filter_scp.pl", "ids scp", "", "a 1\nc 3\n"),
    ("filter_scp.pl", "ids", "c  9\tx \nb 1\na\n", "c  9\tx \na\n"),
    ("filter_scp.pl", "--exclude ids -", "c 1\nb 1\n", "b 1\n"),
    ("filter_scp.pl", "-f 2 ids", "1 a\n2 b\n", "1 a\n"),
    ("filter_scp.pl", "--exclude -f 2 ids", "1 a\n2 b\n", "2 b\n"),
    ("filter_scp.pl", "- scp", "b\n", "b 2\n"),
    ("apply_map.pl", "map", "a  c\n\nb a\n", "x y z\n\n x y\n"),
    ("apply_map.pl", "-f 2 map", "a a\nq c d\n", "a x y\nq z d\n"),
    ("apply_map.pl", "-f 2-3 map", "q a c q\n", "q x y z q\n"),
    ("apply_map.pl", "-f 2- map", "q a c\n", "q x y z\n"),
    ("apply_map.pl", "-f -1 map", "a q\n", "x y q\n"),
    ("apply_map.pl", "-f 2 --permissive map", "u q\n", "u q\n"),
    ("sym2int.pl", "symbols", "a b\n", "1 2\n"),
    ("sym2int.pl", "-f 2- symbols", "utt a  b\n", "utt 1 2\n"),
    ("sym2int.pl", "--map-oov <unk> -f 2- symbols", "u zz a\n", "u 3 1\n"),
    ("sym2int.pl", "-f 2- --map-oov 7 symbols -", "u zz\n", "u 7\n"),
    ("int2sym.pl", "symbols", "0 1\n", "<eps> a \n"),
    ("int2sym.pl", "-f 2- symbols", "7 1 3\n", "7 a <unk> \n"),
    ("utt2spk_to_spk2utt.pl", "", "u1 s2\nu2 s1\nu3 s2\n", "s2 u1 u3\ns1 u2\n"),
    ("utt2spk_to_spk2utt.pl", "scp", "", "1 a\n2 b\n3 c\n4 d\n5 e\n"),
    ("spk2utt_to_utt2spk.pl", "", "s2 u1 u3\ns1 u2\n", "u1 s2\nu3 s2\nu2 s1\n"),
    ("subset_scp.pl", "2 scp", "", "b 2\ne 5\n"),
    ("subset_scp.pl", "3 scp", "", "b 2\nc 3\ne 5\n"),
    ("subset_scp.pl", "--first 2 scp", "", "a 1\nb 2\n"),
    ("subset_scp.pl", "--last 2 scp", "", "d 4\ne 5\n"),
    ("subset_scp.pl", "--quiet 9 scp", "", "a 1\nb 2\nc 3\nd 4\ne 5\n"),
    ("split_scp.pl", "-j 2 0 scp", "", "a 1\nb 2\nc 3\n"),
    ("split_scp.pl", "-j 2 2 --one-based scp", "", "d 4\ne 5\n"),
    ("shuffle_list.pl", "--srand 1 -", "", ""),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(("script", "arguments", "stdin", "output"), GOLDEN)
def test_output(run, folder, script, arguments, stdin, output) -> None:
    result = run(script, *arguments.split(), stdin=stdin)
    assert (result.returncode, result.stdout) == (0, output), result.stderr


WRONG = [
    # script, arguments, standard input, part of the message
    ("filter_scp.pl", "", "", "usage"),
    ("filter_scp.pl", "ids scp more", "", "usage"),
    ("filter_scp.pl", "missing scp", "", "missing: No such file"),
    ("filter_scp.pl", "-f 3 ids scp", "", "scp:1: no field 3"),
    ("filter_scp.pl", "-f x ids scp", "", "-f needs"),
    ("filter_scp.pl", "ids empty_line", "", "empty_line:2"),
    ("filter_scp.pl", "empty_line scp", "", "empty_line:2"),
    ("apply_map.pl", "map scp", "", "usage"),
    ("apply_map.pl", "-f 0 map", "", "bad field range"),
    ("apply_map.pl", "map", "a\nq\n", "standard input:2: undefined key q"),
    ("sym2int.pl", "", "", "usage"),
    ("sym2int.pl", "symbols", "a zz\n", "undefined symbol zz (in position 2)"),
    ("sym2int.pl", "--map-oov nope symbols", "", "nope"),
    ("sym2int.pl", "map", "", "map:1"),
    ("int2sym.pl", "symbols", "9\n", "integer 9"),
    ("int2sym.pl", "symbols", "a\n", "no integer"),
    ("utt2spk_to_spk2utt.pl", "", "u s\nu\n", "standard input:2"),
    ("spk2utt_to_utt2spk.pl", "", "s\n", "standard input:1"),
    ("subset_scp.pl", "6 scp", "", "5 lines, 6"),
    ("subset_scp.pl", "0 scp", "", "positive"),
    ("shuffle_list.pl", "--seed 1", "", "usage"),
    ("split_scp.pl", "scp", "", "usage"),
    ("split_scp.pl", "-j 2 2 scp", "", "part 2 of 2"),
    ("split_scp.pl", "-j 6 0 scp", "", "5 lines into 6 parts"),
]


@pytest.mark.parametrize(("script", "arguments", "stdin", "message"), WRONG)
def test_mistake(run, folder, script, arguments, stdin, message) -> None:
    result = run(script, *arguments.split(), stdin=stdin)
    assert result.returncode != 0
    assert message in result.stderr and "Traceback" not in result.stderr
    assert result.stderr.startswith(script)


def test_warnings_about_unknown_symbols_end(run, folder) -> None:
    result = run("sym2int.pl", "--map-oov", "<unk>", "symbols", stdin="q\n" * 30)
    assert result.stdout == "3\n" * 30 and result.stderr.count("replacing q") == 20


def test_shuffle_is_a_fixed_permutation(run, folder) -> None:
    lines = [f"{number}\n" for number in range(500)]
    first, again, other = (run("shuffle_list.pl", "--srand", seed, stdin="".join(lines)).stdout for seed in (3, 3, 4))
    assert first == again != other
    assert sorted(first.splitlines(keepends=True)) == sorted(lines) and first != "".join(lines)


def test_split_by_speaker_balances_and_keeps_speakers_whole(run, folder) -> None:
    utterances = [(f"{speaker}{number}", speaker) for speaker, count in zip("abcdef", (9, 1, 1, 1, 9, 3), strict=True)
                  for number in range(count)]  # fmt: skip
    (folder / "u").write_text("".join(f"{utterance} {speaker}\n" for utterance, speaker in utterances))
    result = run("split_scp.pl", "--utt2spk=u", "u", "o1", "o2", "o3")
    parts = [(folder / name).read_text().splitlines() for name in ("o1", "o2", "o3")]
    assert (
        result.returncode == 0 and [line for part in parts for line in part] == (folder / "u").read_text().splitlines()
    )
    assert [len(part) for part in parts] == [9, 3, 12]
    assert run("split_scp.pl", "--utt2spk=u", "u", *(f"p{index}" for index in range(7))).returncode != 0


def test_split_by_speaker_and_duration(run, folder) -> None:
    (folder / "u").write_text("a1 a\na2 a\nb1 b\nc1 c\n")
    (folder / "d").write_text("a1 1\na2 1\nb1 1\nc1 30\n")
    assert run("split_scp.pl", "--utt2spk=u", "--utt2dur=d", "u", "o1", "o2").returncode == 0
    assert (folder / "o1").read_text() == "a1 a\na2 a\nb1 b\n"


def test_make_absolute_follows_links(run, tmp_path) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "file").touch()
    (tmp_path / "link").symlink_to("a folder/file")
    expected = f"{tmp_path.resolve()}/a folder"
    assert run("make_absolute.sh", "link").stdout == f"{expected}/file\n"
    assert run("make_absolute.sh", "a folder").stdout == f"{expected}\n"
    assert run("make_absolute.sh", "nowhere/file").returncode != 0
