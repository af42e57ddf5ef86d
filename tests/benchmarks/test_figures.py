"""How figures are made of measurements, and how they are shown. No clock plays a part."""

from __future__ import annotations

import io

import orjson
import pytest
from rich.console import Console

from benchmarks.__main__ import NAMES, main
from benchmarks.figures import Figure, Findings, percentile, ratio, spread
from benchmarks.report import as_json, show


def test_the_median_counts_and_the_noise_is_shown() -> None:
    values = spread([3.0, 100.0, 1.0])
    assert (values.median, values.least, values.most) == (3.0, 1.0, 100.0)


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_shares_are_taken_round_by_round() -> None:
    # A machine that is twice as slow in the second round is so for both sides.
    assert ratio(spread([50, 25]), spread([100, 50])).values == (0.5, 0.5)
    with pytest.raises(ValueError, match="shorter"):
        ratio(spread([1, 2]), spread([1]))


@pytest.mark.parametrize(
    ("needed", "met"),
    [(0.4, True), (0.5, True), (0.51, False), (None, None)],
)
def test_a_figure_knows_whether_it_is_met(needed: float | None, met: bool | None) -> None:
    assert Figure("rate", "1/s", spread([50.0]), spread([100.0]), needed).is_met is met
    assert Figure("rate", "1/s", spread([50.0]), None, needed).is_met is None


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0, 0.5, 0.99, 1)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([7.0], 0.99) == 7.0


FINDINGS = Findings(
    "intake",
    "as an example",
    (
        Figure("event by event", "sign-ups/s", spread([900.0, 1100.0]), spread([2000.0, 2000.0]), 0.4),
        Figure("answer", "ms", spread([1.25])),
    ),
    ("two cores",),
)


def test_the_table_shows_both_sides_and_what_is_needed() -> None:
    out = io.StringIO()
    show(FINDINGS, Console(file=out, width=140))
    for words in ("event by event (sign-ups/s)", "1,000 (900..1,100)", "50% (45%..55%)", "40%", "1.25", "two cores"):
        assert words in out.getvalue()


def test_the_json_has_every_round() -> None:
    body = orjson.loads(as_json([FINDINGS], {"cores": 2}, quick=False))
    assert body["machine"] == {"cores": 2}
    rate, answer = body["benchmarks"][0]["figures"]
    assert rate["ours"] == {"median": 1000.0, "min": 900.0, "max": 1100.0, "rounds": [900.0, 1100.0]}
    assert rate["share"]["median"] == 0.5
    assert rate["met"] is True
    assert "beside" not in answer


def test_a_name_that_is_none_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["speed"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in NAMES)
