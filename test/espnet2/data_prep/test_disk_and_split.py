"""Pairs of keys and values in, their join on the disk out; hours of speakers in, those held out out."""

from pathlib import Path

import pytest

from espnet2.data_prep.disk import join_on_disk
from espnet2.data_prep.split import hold_out
from espnet2.utils.errors import UserError


def test_both_sides_of_a_join_are_kept(tmp_path: Path) -> None:
    joined = join_on_disk(tmp_path / "work", iter([("b", "x y"), ("a", "")]), [("c", "3"), ("b", "t\tz")])
    assert list(joined) == [("a", "", None), ("b", "x y", "t\tz"), ("c", None, "3")]
    assert not list((tmp_path / "work").iterdir())


def test_a_key_twice_on_one_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"b appears twice: x, y"):
        list(join_on_disk(tmp_path, [("b", "y"), ("b", "x")], [("b", "z")]))


def test_about_the_wanted_hours_are_held_out_whatever_the_order() -> None:
    hours = {f"s{number}": 0.5 + number / 100 for number in range(50)}
    held_out = hold_out(hours, 3.0)
    assert 2.4 < sum(hours[name] for name in held_out) <= 3.0
    assert hold_out(dict(reversed(hours.items())), 3.0) == held_out


def test_one_group_always_stays_on_each_side() -> None:
    assert hold_out({"a": 9.0, "b": 7.0, "c": 8.0}, 3.0) == {"b"}
    assert len(hold_out({"a": 1.0, "b": 1.0}, 100.0)) == 1
    with pytest.raises(UserError, match="two are needed"):
        hold_out({"a": 1.0}, 1.0)
