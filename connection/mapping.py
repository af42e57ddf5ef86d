"""A mapping: how the rows of somebody's file become sign-ups. A YAML file, read by people too.

    source: my-app                       # the partner: the CloudEvents source
    reference: "{Member number}"         # the partner's own reference for a member: a template
    fields:
      community: {constant: london}
      first_name: {column: First name}
      email: {column: E-mail}
      birth_year: {column: Age, subtract_from: 2025}
      place.name: {column: Area, values: {Angel: Islington}}
      interests: {column: Hobbies, split: ";"}
      openness.shares: {column: Openness, rescale: {from: [0, 10], to: [1, 5]}}
      ...

A field is named as in a sign-up (`shared.contracts.SignUp`), with a dot where it lies
within another, and says in one of these ways where its value comes from:

============  ========================================================================
`constant`    always this
`template`    a text with {columns} in braces; {row} is the number of the row, from 1
`column`      the value of a column; then, in this order: `values` (a map from what is
              there to what is meant), `split` (a list, cut at this separator),
              `subtract_from`, `rescale` (whole numbers, kept within `to`)
`favourites`  a list of words: of the columns in `columns` (column: word) those that
              are rated with the first of `ratings` that occurs at all; at most `most`
`mean`        a whole number: the weighted mean of the columns in `columns` (column:
              weight; a negative weight turns the scale round) on the `scale`,
              stretched from `spread`; columns without an answer are left out
`draw`        something the file does not have, drawn with a seed, so that the same row
              gives the same every time: `from` a list, a map (value: weight) or
              "london-neighbourhoods"; `count: [2, 5]` draws a list of two to five
============  ========================================================================

`default` is used where the answer is missing (the column is empty, or absent from a
JSON object); `optional: true` leaves the field out then. Otherwise the row is rejected.
"""

from __future__ import annotations

import string
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.contracts import EventType

Row = AnyMapping[str, Any]
"""Values by column. Of a CSV file, texts; of JSON Lines, what the JSON holds, nested names joined by dots."""

_NEIGHBOURHOODS = "london-neighbourhoods"
_MISSING = (None, "")


class MappingError(ValueError):
    """A mapping file that cannot be used: says what is wrong with it and what would be right."""


class RowError(ValueError):
    """A row that cannot become a sign-up. Its text names columns and reasons, never values."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class _Missing(Exception):  # a signal within this module, not an error of the user's
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Rescale(_Part):
    from_: Annotated[tuple[float, float], Field(alias="from")]
    to: tuple[int, int]

    def of(self, value: float) -> int:
        low, high = self.from_
        return _within((value - low) / (high - low) * (self.to[1] - self.to[0]) + self.to[0], self.to)


class Favourites(_Part):
    columns: dict[str, str]
    ratings: tuple[str, ...] = ("5",)
    most: Annotated[int, Field(ge=1)] = 30


class Mean(_Part):
    columns: dict[str, float]
    scale: tuple[int, int] = (1, 5)
    spread: tuple[float, float] | None = None
    """Where the means lie that become the two ends of the scale; a mean of many answers is never at the ends."""


class Draw(_Part):
    from_: Annotated[list[Any] | dict[str, float] | str, Field(alias="from")]
    count: tuple[int, int] | None = None


class Rule(_Part):
    """Where one field comes from. Exactly one of the first six."""

    constant: Any = None
    template: str | None = None
    column: str | None = None
    favourites: Favourites | None = None
    mean: Mean | None = None
    draw: Draw | None = None

    values: dict[str, Any] | None = None
    split: str | None = None
    subtract_from: int | None = None
    rescale: Rescale | None = None
    default: Any = None
    optional: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = self.model_fields_set & {"constant", "template", "column", "favourites", "mean", "draw"}
        if len(sources) != 1:
            raise ValueError("needs exactly one of: constant, template, column, favourites, mean, draw")
        if self.model_fields_set & {"values", "split", "subtract_from", "rescale"} and self.column is None:
            raise ValueError("values, split, subtract_from and rescale go with column")
        if self.draw and isinstance(self.draw.from_, str) and self.draw.from_ != _NEIGHBOURHOODS:
            raise ValueError(f"draw: from must be a list, a map or {_NEIGHBOURHOODS!r}")
        return self

    @property
    def columns(self) -> set[str]:
        """The columns that this rule looks at."""
        named = set(self.favourites.columns if self.favourites else ()) | set(self.mean.columns if self.mean else ())
        named |= _template_columns(self.template) if self.template else set()
        return named | ({self.column} if self.column else set())


class Mapping(_Part):
    """A mapping file. `event` is its use."""

    source: Annotated[str, Field(min_length=1)]
    reference: str
    fields: dict[str, Rule]

    @property
    def columns(self) -> set[str]:
        """All columns that it needs."""
        return _template_columns(self.reference).union(*(rule.columns for rule in self.fields.values()))

    def event(self, row: Row, number: int, *, seed: int) -> dict[str, Any]:
        """The structured CloudEvent that a row becomes; `number` counts rows from 1.

        Deterministic in the row, its number and the seed.

        Raises
        ------
        RowError
            if an answer is missing for which the mapping has no default, or is of the wrong kind.
        """
        reference = self._value("reference", Rule(template=self.reference), row, number, Random(0))
        data: dict[str, Any] = {}
        for field, rule in self.fields.items():
            draws = Random(f"{seed}/{reference}/{field}")
            value = self._value(field, rule, row, number, draws)
            if value is not None:
                _put(data, field.split("."), value)
        return {
            "specversion": "1.0",
            "id": f"import-{reference}",
            "source": self.source,
            "type": EventType.SIGNED_UP.value,
            "subject": reference,
            "datacontenttype": "application/json",
            "data": data,
        }

    @staticmethod
    def _value(field: str, rule: Rule, row: Row, number: int, draws: Random) -> Any:
        try:
            return _evaluate(rule, row, number, draws)
        except _Missing as missing:
            if rule.default is not None or rule.optional:
                return rule.default
            raise RowError(field, missing.reason) from None
        except (TypeError, ValueError):
            raise RowError(field, f"{_named(rule)} is not of the kind that the mapping expects") from None


def load_mapping(file: Path) -> Mapping:
    """Read a mapping file; raises `MappingError`."""
    try:
        return Mapping.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise MappingError(f"the mapping {file} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise MappingError(f"{file.name} is not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise MappingError(f"{file.name}: {place}: {first['msg']}") from error


def _evaluate(rule: Rule, row: Row, number: int, draws: Random) -> Any:
    if rule.template is not None:
        return _filled(rule.template, row, number)
    if rule.column is not None:
        return _converted(rule, _answer(row, rule.column))
    if rule.favourites is not None:
        return _favourites(rule.favourites, row)
    if rule.mean is not None:
        return _mean(rule.mean, row)
    if rule.draw is not None:
        return _drawn(rule.draw, draws)
    return rule.constant


def _answer(row: Row, column: str) -> Any:
    value = row.get(column)
    if isinstance(value, str):
        value = value.strip()
    if value in _MISSING:
        raise _Missing(f"column {column!r} is empty")
    return value


def _converted(rule: Rule, value: Any) -> Any:
    if rule.values is not None:
        value = rule.values.get(str(value), value)
    if rule.split is not None and isinstance(value, str):
        return [part for text in value.split(rule.split) if (part := text.strip())]
    if rule.subtract_from is not None:
        value = rule.subtract_from - round(float(value))
    if rule.rescale is not None:
        value = rule.rescale.of(float(value))
    return value


def _favourites(wanted: Favourites, row: Row) -> list[str]:
    answers = {column: str(row.get(column) or "").strip() for column in wanted.columns}
    for rating in wanted.ratings:
        found = dict.fromkeys(wanted.columns[column] for column, answer in answers.items() if answer == rating)
        if found:
            return list(found)[: wanted.most]
    raise _Missing(f"no column is rated {' or '.join(wanted.ratings)}")


def _mean(wanted: Mean, row: Row) -> int:
    low, high = wanted.scale
    total = weights = 0.0
    for column, weight in wanted.columns.items():
        answer = row.get(column)
        if answer in _MISSING:
            continue
        value = float(answer)
        total += abs(weight) * (value if weight > 0 else low + high - value)
        weights += abs(weight)
    if not weights:
        raise _Missing(f"none of the columns {', '.join(wanted.columns)} is answered")
    bottom, top = wanted.spread or wanted.scale
    return _within((total / weights - bottom) / (top - bottom) * (high - low) + low, wanted.scale)


def _drawn(wanted: Draw, draws: Random) -> Any:
    if isinstance(wanted.from_, str):
        from demo.london import neighbourhoods  # here, since it reads a gazetteer: most mappings draw no place

        values: Sequence[Any] = [place.name for place in neighbourhoods()]
        weights: Sequence[float] = [place.weight for place in neighbourhoods()]
    elif isinstance(wanted.from_, dict):
        values, weights = list(wanted.from_), list(wanted.from_.values())
    else:
        values, weights = wanted.from_, [1.0] * len(wanted.from_)
    if wanted.count is None:
        return draws.choices(values, weights)[0]
    least, most = wanted.count
    return draws.sample(values, draws.randint(least, min(most, len(values))))


def _filled(template: str, row: Row, number: int) -> str:
    return template.format_map(
        {"row": number} | {column: _answer(row, column) for column in _template_columns(template)}
    )


def _template_columns(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name} - {"row"}


def _named(rule: Rule) -> str:
    return f"column {rule.column!r}" if rule.column else "an answer"


def _within(value: float, ends: tuple[int, int]) -> int:
    return min(max(ends), max(min(ends), round(value)))


def _put(data: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        data = data.setdefault(part, {})
    data[path[-1]] = value
