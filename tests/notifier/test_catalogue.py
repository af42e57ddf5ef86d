"""The catalogue that comes along keeps all of its rules, and what somebody breaks in it is found and named."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import services.notifier
from connection.cli import cli
from demo import london
from services.notifier.catalogue import CatalogueError, Problem, examine, load_catalogue
from services.notifier.ladder import STEPS
from services.notifier.prompt_rules import reading_age
from services.notifier.wording import WordsError, load_words

WORDS = Path(services.notifier.__file__).parent / "words"
CATALOGUE, ENCOURAGEMENT = load_catalogue(WORDS / "en-GB")

THEMES = {
    "everybody": ["everybody", "friendship", "city-life"],
    "interests": ["work", "books", "sport", "food", "music", "outdoors", "making", "screen", "play", "stillness"],
    "life topics": ["new-parents", "new-in-town", "caring", "bereavement", "job-worries"],
}


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A copy of the words, to break."""
    return Path(shutil.copytree(WORDS, tmp_path / "words"))


def edit(words: Path, file: str, change: Callable[[str], str]) -> list[Problem]:
    """What is found after somebody changed a file."""
    path = words / "en-GB" / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
    return examine(words / "en-GB").problems


def test_there_are_enough_prompts_of_every_step() -> None:
    assert len(CATALOGUE.prompts) >= 150
    for audience, names in THEMES.items():
        for name in names:
            assert CATALOGUE.themes[name].audience == audience
            assert all(CATALOGUE.pool([name], step) for step in STEPS), name
    assert all(len(CATALOGUE.pool(["everybody"], step)) >= 8 for step in STEPS)


def test_most_of_it_can_be_read_by_a_child_of_ten() -> None:
    ages = sorted(reading_age(prompt.text) for prompt in CATALOGUE.prompts.values())
    assert ages[len(ages) * 3 // 4] < 10


def test_texts_differ() -> None:
    assert max(Counter(prompt.text.casefold() for prompt in CATALOGUE.prompts.values()).values()) == 1


def test_nearly_everything_that_people_are_interested_in_has_a_theme() -> None:
    interests = {interest for theme in london.people().themes.values() for interest in theme.interests}
    themes = [theme for theme in CATALOGUE.themes.values() if theme.audience == "interests"]
    without = [said for said in interests if not any(theme.is_meant_by(said) for theme in themes)]
    assert len(interests) > 100
    assert len(without) < 0.1 * len(interests), without


@pytest.mark.parametrize(
    ("said", "theme", "belongs"),
    [
        ("running", "sport", True),
        ("Five-a-side football", "sport", True),
        ("brunch", "sport", False),
        ("bread", "books", False),
        ("book club", "books", True),
        ("party", "making", False),
        ("art", "making", True),
        ("playgrounds", "screen", False),
        ("new parent", "new-parents", True),
        ("new to London", "new-in-town", True),
        ("caring for a parent", "caring", True),
        ("caring for a parent", "new-parents", False),
        ("bereavement", "bereavement", True),
        ("job worries", "job-worries", True),
    ],
)
def test_themes_are_known_by_whole_words(said: str, theme: str, belongs: bool) -> None:
    assert CATALOGUE.themes[theme].is_meant_by(said) == belongs


@pytest.mark.parametrize(
    ("file", "change", "place", "wrong"),
    [
        ("books.yaml", lambda t: t.replace("hard:", "hrad:"), ("hrad:", ""), "'hrad' is not a step"),
        ("books.yaml", lambda t: t.replace("for: interests", "for: readers"), ("", ""), "whom the theme is for"),
        ("books.yaml", lambda t: t.replace("for: interests\n", ""), ("", ""), "whom the theme is for"),
        ("books.yaml", lambda t: "\n".join(x for x in t.splitlines() if "words:" not in x), ("", ""), "without words"),
        ("everybody.yaml", lambda t: t + "\nwords: [everybody]\n", ("", ""), "with words"),
        (
            "books.yaml",
            lambda t: t.replace("Which famous", "Do you know which famous"),
            ("gave-up-on:", "gave-up-on"),
            "yes or no",
        ),
        (
            "books.yaml",
            lambda t: t.replace("at the moment", "for your trauma"),
            ("reading-now:", "reading-now"),
            "therapy talk",
        ),
        (
            "books.yaml",
            lambda t: t + "  this-chapter: What is it?\n",
            ("this-chapter: What", "this-chapter"),
            "its name is taken",
        ),
        ("books.yaml", lambda t: t + "  said-twice:\n", ("said-twice:", "said-twice"), "no text"),
        (
            "books.yaml",
            lambda t: t + "  said-twice: How would you like this chapter you are in now to end?\n",
            ("said-twice:", "said-twice"),
            "nearly the same as this-chapter (prompts/books.yaml, line ",
        ),
        ("books.yaml", lambda t: t + "  oh-no: What now: this?\n", ("oh-no:", ""), "cannot be understood"),
        ("books.yaml", lambda t: t + "\toh-no:\n", ("oh-no:", ""), "cannot be understood"),
        (
            "books.yaml",
            lambda t: t.replace("easy:\n", "easy: What is it?\nreal2:\n"),
            ("easy:", ""),
            "no prompts with names",
        ),
        ("books.yml", lambda _: "for: interests\n", ("", ""), "files that end so are not read"),
        ("cars.yaml", lambda _: "for: interests\nwords: [car]\n", ("", ""), "0 prompts of step 'easy'"),
    ],
)
def test_what_somebody_breaks_is_found_and_named(
    words: Path, file: str, change: Callable[[str], str], place: tuple[str, str], wrong: str
) -> None:
    problems = edit(words, f"prompts/{file}", change)
    found = [one for one in problems if wrong in one.wrong and one.file == f"prompts/{file}"]
    lines = (words / "en-GB" / "prompts" / file).read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if place[0] in text) if place[0] else 0
    assert [(one.line, one.prompt) for one in found] == [(line, place[1])], problems
    assert found[0].right
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(words / "en-GB")
    assert caught.value.problems == problems
    with pytest.raises(WordsError, match="en-GB/prompts"):
        load_words(words)


def test_a_file_that_is_no_text_is_named(words: Path) -> None:
    (words / "en-GB" / "prompts" / "books.yaml").write_bytes(b"for: \xff\xfe")
    assert any("UnicodeDecodeError" in one.wrong for one in examine(words / "en-GB").problems)


@pytest.mark.parametrize(
    ("file", "before", "after", "wrong"),
    [
        ("prompt-rules.yaml", "length_max: 140", "length_max: lots", "length_max"),
        ("prompt-rules.yaml", "length_max: 140", "lenght_max: 140", "length_max"),
        ("encouragement.yaml", "[first meeting, pair, climbs]", "[first date]", "questions-that-climb > only_if > 0"),
        ("encouragement.yaml", "passing:", "pasing:", "passing"),
        ("encouragement.yaml", "(1997)", "long ago", "questions-that-climb > source"),
    ],
)
def test_mistakes_in_what_goes_with_prompts_are_named(
    words: Path, file: str, before: str, after: str, wrong: str
) -> None:
    problems = edit(words, file, lambda text: text.replace(before, after, 1))
    assert any(one.file == file and wrong in one.wrong for one in problems), problems


def test_the_command_says_where_and_what(words: Path) -> None:
    run = CliRunner().invoke(cli, ["prompts", "check", str(words)])
    assert run.exit_code == 0, run.output
    assert "All is well." in run.output
    assert f"{len(CATALOGUE.prompts)} prompts" in run.output
    edit(words, "prompts/books.yaml", lambda text: text.replace("Which famous", "Do you know which famous"))
    for folder in (words, words / "en-GB", words / "en-GB" / "prompts"):
        run = CliRunner().invoke(cli, ["prompts", "check", str(folder)])
        assert run.exit_code == 1
        assert "en-GB/prompts/books.yaml, line 8, gave-up-on: it begins with" in run.output
        assert "Right would be:" in run.output
    assert CliRunner().invoke(cli, ["prompts", "check", str(words / "en-GB" / "no")]).exit_code == 2
    (words / "empty").mkdir()
    assert CliRunner().invoke(cli, ["prompts", "check", str(words / "empty")]).exit_code == 2


def test_the_command_that_tries_shows_what_people_would_get() -> None:
    run = CliRunner().invoke(cli, ["prompts", "try", "--interest", "books", "--pace", "1", "--meetings", "2"])
    assert run.exit_code == 0, run.output
    shown = [line.split(maxsplit=1) for line in run.output.splitlines() if line.startswith("  ")]
    of = {prompt.text: prompt for prompt in CATALOGUE.prompts.values()}
    prompts = [of[text] for _, text in shown if text in of]
    assert [prompt.step for prompt in prompts] == ["easy", "easy", "personal"] + ["personal"] * 3
    assert prompts[0].theme == "books"
    assert run.output.lower().count("pass") >= 2


def test_a_translation_must_have_the_same_prompts(words: Path) -> None:
    shutil.copytree(words / "en-GB", words / "cy-GB")
    assert CliRunner().invoke(cli, ["prompts", "check", str(words)]).exit_code == 0
    books = words / "cy-GB" / "prompts" / "books.yaml"
    text = books.read_text(encoding="utf-8").replace("  gave-up-on:", "  given-up:")
    books.write_text(text.replace("\ndeep:", "\nhard:"), encoding="utf-8")
    run = CliRunner().invoke(cli, ["prompts", "check", str(words / "cy-GB")])
    assert run.exit_code == 1
    assert "cy-GB/prompts/books.yaml, gave-up-on: it is not translated yet: Which famous book" in run.output
    assert "cy-GB/prompts/books.yaml, given-up: there is no such prompt" in run.output
    assert "books.yaml, story-you-tell: its place is step 'deep' in books.yaml" in run.output
