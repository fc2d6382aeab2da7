"""JSON files that keep to a TypedDict, or do not: what is wrong with them is said with the key."""

from typing import TypedDict

import pytest

from espnet2.utils.errors import UserError
from espnet2.utils.json_record import require_record


class Figures(TypedDict):
    mean: float
    best: "str | None"


class _Needed(TypedDict):
    name: str
    figures: Figures


class Report(_Needed, total=False):
    seeds: list[int]
    notes: dict[str, str]


WHOLE = '{"name": "a", "figures": {"mean": 1, "best": null}}'


def test_what_keeps_to_its_keys_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(WHOLE)
    assert require_record(path, Report, "run it again") == {"name": "a", "figures": {"mean": 1, "best": None}}
    path.write_text('{"name": "a", "figures": {"mean": 0.5, "best": "x"}, "seeds": [], "notes": {}, "newer": 1}')
    assert require_record(path, Report, "run it again")["newer"] == 1


@pytest.mark.parametrize(
    ("contents", "fault"),
    [
        ("{}", "lacks 'name'"),
        (WHOLE.replace('"a"', "1"), "has 1 as name"),
        (WHOLE.replace('"mean"', '"man"'), "lacks 'figures.mean'"),
        (WHOLE.replace("1", '"1"'), "has '1' as figures.mean"),
        (WHOLE.replace("null", "[]"), r"has \[\] as figures.best"),
        ('{"name": "a", "figures": []}', r"has \[\] as figures"),
        ('{"seeds": 3, ' + WHOLE[1:], "has 3 as seeds"),
        ('{"notes": ["n"], ' + WHOLE[1:], r"has \['n'\] as notes"),
    ],
)
def test_a_key_that_is_not_as_it_should_be_is_named(tmp_path, contents, fault):
    path = tmp_path / "a.json"
    path.write_text(contents)
    with pytest.raises(UserError, match=f"^{path}: {fault}: run it again$"):
        require_record(path, Report, "run it again")


@pytest.mark.parametrize(
    ("contents", "fault"), [(WHOLE[:9], ":1: damaged or cut short"), ("[1]", ":1: expected a JSON")]
)
def test_damaged_files_are_those_of_require_json(tmp_path, contents, fault):
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match=f"^{path} is missing: run it again$"):
        require_record(path, Report, "run it again")
    path.write_text(contents)
    with pytest.raises(UserError, match=f"^{path}{fault}"):
        require_record(path, Report, "run it again")
