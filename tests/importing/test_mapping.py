"""A mapping turns rows into sign-ups, and says what is wrong with a row without telling what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from connection.mapping import Mapping, MappingError, Row, RowError, load_mapping

SURVEY = Path(__file__).parents[2] / "connection" / "mappings" / "young-people-survey.yaml"


def value(rule: dict[str, Any], row: Row, *, number: int = 1, seed: int = 1) -> Any:
    mapping = Mapping.model_validate({"source": "app", "reference": "{row}", "fields": {"field": rule}})
    return mapping.event(row, number, seed=seed)["data"].get("field")


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        ({"constant": False}, {}, False),
        ({"template": "{A}-{row}@x.example"}, {"A": "b"}, "b-1@x.example"),
        ({"column": "A"}, {"A": " Hackney "}, "Hackney"),
        ({"column": "A", "values": {"Angel": "Islington"}}, {"A": "Angel"}, "Islington"),
        ({"column": "A", "values": {"1": True}}, {"A": 1}, True),
        ({"column": "A", "split": ";"}, {"A": "books; running;;"}, ["books", "running"]),
        ({"column": "A", "split": ";"}, {"A": ["books"]}, ["books"]),
        ({"column": "A", "subtract_from": 2025}, {"A": "20"}, 2005),
        ({"column": "A", "rescale": {"from": [0, 10], "to": [1, 5]}}, {"A": "10"}, 5),
        ({"column": "A", "rescale": {"from": [0, 10], "to": [1, 5]}}, {"A": "99"}, 5),
        ({"column": "A", "default": "en"}, {"A": ""}, "en"),
        ({"column": "A", "optional": True}, {}, None),
        ({"mean": {"columns": {"A": 1, "B": -1}}}, {"A": "5", "B": "1"}, 5),
        ({"mean": {"columns": {"A": 3, "B": 1}}}, {"A": "4", "B": ""}, 4),
        ({"mean": {"columns": {"A": 1}, "spread": [2, 4]}}, {"A": "4"}, 5),
        ({"mean": {"columns": {"A": 1}}, "default": 3}, {"A": ""}, 3),
        ({"favourites": {"columns": {"A": "a", "B": "b", "C": "a"}}}, {"A": "5", "B": "5", "C": "5"}, ["a", "b"]),
        ({"favourites": {"columns": {"A": "a", "B": "b"}, "ratings": ["5", "4"]}}, {"A": "3", "B": "4"}, ["b"]),
        ({"favourites": {"columns": {"A": "a", "B": "b"}, "most": 1}}, {"A": 5, "B": 5}, ["a"]),
    ],
)
def test_rules(rule: dict[str, Any], row: Row, expected: Any) -> None:
    assert value(rule, row) == expected


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ({"column": "A"}, {}),
        ({"column": "A", "subtract_from": 2025}, {"A": "a secret"}),
        ({"template": "{A}"}, {"A": " "}),
        ({"mean": {"columns": {"A": 1}}}, {"A": "a secret"}),
        ({"mean": {"columns": {"A": 1}}}, {"A": ""}),
        ({"favourites": {"columns": {"A": "a"}}}, {"A": "4"}),
    ],
)
def test_what_is_missing_or_wrong_rejects_the_row_without_telling_what_it_held(rule: dict[str, Any], row: Row) -> None:
    with pytest.raises(RowError) as rejected:
        value(rule, row)
    assert rejected.value.field == "field"
    assert "secret" not in str(rejected.value)


def test_what_is_drawn_depends_on_the_seed_and_the_row_alone() -> None:
    rule = {"draw": {"from": list(range(1000))}}
    drawn = [value(rule, {}, number=number) for number in range(20)]
    assert drawn == [value(rule, {}, number=number) for number in range(20)]
    assert len(set(drawn)) > 15
    assert drawn != [value(rule, {}, number=number, seed=2) for number in range(20)]
    weighed = {"draw": {"from": {"yes": 1, "no": 0}}}
    assert {value(weighed, {}, number=number) for number in range(20)} == {"yes"}
    several = {"draw": {"from": [1, 2, 3], "count": [2, 3]}}
    assert all(2 <= len(set(value(several, {}, number=number))) <= 3 for number in range(9))


def test_nested_fields_and_the_envelope() -> None:
    fields = {"place.name": {"constant": "Hackney"}, "openness.depth": {"constant": 3}}
    mapping = Mapping.model_validate({"source": "app", "reference": "n{Number}", "fields": fields})
    event = mapping.event({"Number": "7"}, 1, seed=1)
    assert event["data"] == {"place": {"name": "Hackney"}, "openness": {"depth": 3}}
    assert (event["id"], event["source"], event["subject"]) == ("import-n7", "app", "n7")
    assert mapping.columns == {"Number"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"a": {}}, "exactly one of"),
        ({"a": {"constant": 1, "column": "B"}}, "exactly one of"),
        ({"a": {"constant": 1, "split": ";"}}, "go with column"),
        ({"a": {"draw": {"from": "mars"}}}, "london-neighbourhoods"),
        ({"a": {"colum": "B"}}, "colum"),
    ],
)
def test_a_wrong_mapping_says_what_would_be_right(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(yaml.safe_dump({"source": "app", "reference": "{row}", "fields": fields}))
    with pytest.raises(MappingError, match=told):
        load_mapping(file)


def test_a_mapping_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml")


def test_the_survey_mapping_reads_the_answers_and_invents_no_more_than_it_says() -> None:
    mapping = load_mapping(SURVEY)
    row = dict.fromkeys(mapping.columns, "3") | {"Metal or Hardrock": "5", "Reading": "5", "Age": "18"}
    row |= {"Socializing": "5", "Assertiveness": "5", "Energy levels": "5", "Fear of public speaking": "1"}
    data = mapping.event(row, 12, seed=1)["data"]
    assert data["interests"] == ["heavy metal", "reading"]
    assert data["birth_year"] == 2007
    assert data["openness"]["goes_first"] == 5
    assert data["email"].endswith("@survey.example")
    assert yaml.safe_load(SURVEY.read_text())["fields"].keys() >= {"openness.depth", "consent.introductions"}
