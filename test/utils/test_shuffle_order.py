"""Lines in, the order of Kaldi's shuffle_list.pl out: recorded from perl 5.36, and asked anew where perl is there."""

import shutil
import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

RECORDED = {  # of the numbers 1 to 10
    0: "3 1 8 5 7 10 2 6 4 9",
    1: "6 1 7 4 10 2 5 9 3 8",
    777: "2 5 10 8 4 6 7 1 3 9",
}
PERL = (
    "srand($ARGV[0]); my @drawn = map { [rand(), $_] } 1 .. $ARGV[1]; "
    'print join("", map { "$_->[1]\\n" } sort { $a->[0] cmp $b->[0] } @drawn);'
)


def numbers(count: int) -> str:
    return "".join(f"{number}\n" for number in range(1, count + 1))


@pytest.mark.parametrize("seed", RECORDED)
def test_the_order_is_perls(run: Run, seed: int) -> None:
    assert run("shuffle_list.pl", "--srand", seed, stdin=numbers(10)).stdout.split() == RECORDED[seed].split()


def test_without_a_seed_it_is_zero(run: Run) -> None:
    assert run("shuffle_list.pl", stdin=numbers(10)).stdout.split() == RECORDED[0].split()


@pytest.mark.parametrize("seed", [0, 3, 2**31, 2**32 - 1])
@pytest.mark.parametrize("count", [1, 2, 100000])
def test_perl_itself_agrees(run: Run, seed: int, count: int) -> None:
    """Small numbers are written with an exponent, which sorts differently: 100,000 lines hold some."""
    if shutil.which("perl") is None:
        return  # the recorded orders are all that can be compared
    by_perl = subprocess.run(["perl", "-e", PERL, str(seed), str(count)], capture_output=True, text=True, check=True)
    assert run("shuffle_list.pl", "--srand", seed, stdin=numbers(count)).stdout == by_perl.stdout


def test_a_last_line_without_newline_and_bad_options(run: Run) -> None:
    assert sorted(run("shuffle_list.pl", stdin="a\nb").stdout.splitlines()) == ["a", "b"]
    assert run("shuffle_list.pl", "--srand", "x").returncode == 1
    assert "usage: " in run("shuffle_list.pl", "--seed", "1").stderr
