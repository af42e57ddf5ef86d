"""Reads the catalogue of prompts, one file a theme, and finds every mistake in it with its file and line.

    words/en-GB/prompts/books.yaml     a theme: whom it is for, and its prompts by step
               /prompt-rules.yaml      what a prompt must and must not be
               /encouragement.yaml     what goes with them

The files are written by people who do not program: a mistake is told in their words, all
of them at once, and with what would be right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from services.notifier.encouragement import Encouragement
from services.notifier.ladder import AUDIENCES, STEPS, Prompt, PromptCatalogue, Step, Theme
from services.notifier.prompt_rules import Rules, faults, gaps, near_duplicates

PROMPTS_FOLDER = "prompts"
RULES_FILE = "prompt-rules.yaml"
ENCOURAGEMENT_FILE = "encouragement.yaml"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that must be put right."""

    file: str
    """Its name, below the locale's folder."""
    line: int
    """From 1; 0 if it is about the file as a whole."""
    prompt: str
    """The prompt's name; empty if it is about no single prompt."""
    wrong: str
    right: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}{f', {self.prompt}' if self.prompt else ''}: {self.wrong}. Right would be: {self.right}"


class CatalogueError(ValueError):
    """A catalogue that cannot be used: the message names the first problem, `problems` has them all."""

    def __init__(self, problems: list[Problem]) -> None:
        more = f" (and {len(problems) - 1} more: see `connection prompts check`)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = problems


class Examined(NamedTuple):
    """A locale's catalogue as far as it can be read, and what is wrong with it."""

    prompts: PromptCatalogue
    encouragement: Encouragement | None
    problems: list[Problem]


def load_catalogue(folder: Path) -> tuple[PromptCatalogue, Encouragement]:
    """The prompts of a locale, and what goes with them.

    Raises
    ------
    CatalogueError
        if anything is wrong with them.
    """
    examined = examine(folder)
    if examined.problems or examined.encouragement is None:
        raise CatalogueError(examined.problems)
    return examined.prompts, examined.encouragement


def examine(folder: Path) -> Examined:
    """Reads a locale's folder and holds everything in it to the rules. Never raises for what is in the files."""
    problems: list[Problem] = []
    rules = _read_model(folder / RULES_FILE, Rules, problems)
    encouragement = _read_model(folder / ENCOURAGEMENT_FILE, Encouragement, problems)
    themes: dict[str, Theme] = {}
    placed: dict[str, _Placed] = {}
    for file in sorted((folder / PROMPTS_FOLDER).glob("*.y*ml")):
        for item in _read_theme(file, problems):
            if isinstance(item, Theme):
                themes[item.name] = item
            elif (first := placed.get(item.prompt.name)) is not None:
                where = f"{first.file}, line {first.line}"
                problems.append(item.problem("its name is taken", f"a name of its own: {where} has this one"))
            else:
                placed[item.prompt.name] = item
    catalogue = PromptCatalogue(themes, {name: item.prompt for name, item in placed.items()})
    if rules is not None:
        problems += _held_to(rules, catalogue, placed)
    return Examined(catalogue, encouragement, sorted(problems, key=_as_in_the_files))


def _as_in_the_files(problem: Problem) -> tuple[str, bool, int]:
    """By file and line; what is about a file as a whole comes last, being a consequence often enough."""
    return problem.file, problem.line == 0, problem.line


def untranslated(translation: PromptCatalogue, original: PromptCatalogue) -> Iterator[str]:
    """What a translated catalogue must still do to stand for the original, prompt by prompt.

    People who meet may read different languages, and take the same prompts along: so a
    prompt has the same name, step and theme in each.
    """
    for name, prompt in original.prompts.items():
        other = translation.prompts.get(name)
        if other is None:
            yield f"{prompt.theme}.yaml, {name}: it is not translated yet: {prompt.text}"
        elif (other.step, other.theme) != (prompt.step, prompt.theme):
            yield f"{other.theme}.yaml, {name}: its place is step {prompt.step!r} in {prompt.theme}.yaml"
    for name, prompt in translation.prompts.items():
        if name not in original.prompts:
            yield f"{prompt.theme}.yaml, {name}: there is no such prompt to translate"


class _Placed(NamedTuple):
    """A prompt and where it stands."""

    prompt: Prompt
    file: str
    line: int

    def problem(self, wrong: str, right: str) -> Problem:
        return Problem(self.file, self.line, self.prompt.name, wrong, right)


def _held_to(rules: Rules, catalogue: PromptCatalogue, placed: dict[str, _Placed]) -> Iterator[Problem]:
    for item in placed.values():
        for fault in faults(item.prompt, rules):
            yield item.problem(*fault)
    for earlier, later in near_duplicates(tuple(catalogue.prompts.values())):
        first = placed[earlier.name]
        asks = f"it asks nearly the same as {earlier.name} ({first.file}, line {first.line})"
        yield placed[later.name].problem(asks, "something else, or one of the two")
    for theme, fault in gaps(catalogue, rules):
        file = f"{PROMPTS_FOLDER}/{theme}.yaml" if theme else PROMPTS_FOLDER
        yield Problem(file, 0, "", *fault)


class _Entry(NamedTuple):
    """A line `key: value` of a file."""

    key: str
    value: yaml.Node
    line: int


def _read_theme(file: Path, problems: list[Problem]) -> Iterator[Theme | _Placed]:
    """A theme's file: the theme itself, and its prompts."""
    name = f"{PROMPTS_FOLDER}/{file.name}"

    def wrong(line: int, what: str, right: str) -> None:
        problems.append(Problem(name, line, "", what, right))

    if file.suffix != ".yaml":
        return wrong(0, "files that end so are not read", f"{file.stem}.yaml")
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        return wrong(0, f"it cannot be read ({type(error).__name__})", "a text file in UTF-8")
    except yaml.YAMLError as error:
        return wrong(*_not_yaml(error))
    audience: str = ""
    words: tuple[str, ...] = ()
    for entry in _entries(root):
        if entry.key == "for":
            audience = _scalar(entry.value)
        elif entry.key == "words":
            words = tuple(_scalar(word) for word in entry.value.value) if _is_list(entry.value) else ()
        elif entry.key not in STEPS:
            wrong(entry.line, f"{entry.key!r} is not a step", f"one of {', '.join(STEPS)}; or for, or words")
        elif not isinstance(entry.value, yaml.MappingNode):
            wrong(entry.line, f"no prompts with names under {entry.key!r}", "two spaces, a name, a colon, the prompt")
        else:
            step: Step = entry.key
            for prompt in _entries(entry.value):
                yield _Placed(Prompt(prompt.key, _scalar(prompt.value), step, file.stem), name, prompt.line)
    if audience not in AUDIENCES:
        wrong(0, "it does not say whom the theme is for", f"a line `for:` with one of {', '.join(AUDIENCES)}")
        return None
    if (audience == "everybody") == bool(words):
        right = "no `words`" if words else "a line `words: [...]` with what members would call it"
        wrong(0, f"a theme for {audience} {'with' if words else 'without'} words", right)
    yield Theme(file.stem, audience, words)
    return None


_M = TypeVar("_M", bound=BaseModel)


def _read_model(file: Path, model: type[_M], problems: list[Problem]) -> _M | None:
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(
            Problem(file.name, 0, "", f"it cannot be read ({type(error).__name__})", "a text file in UTF-8")
        )
    except yaml.YAMLError as error:
        line, wrong, right = _not_yaml(error)
        problems.append(Problem(file.name, line, "", wrong, right))
    except ValidationError as error:
        for one in error.errors(include_url=False):
            where = " > ".join(map(str, one["loc"])) or "the file"
            problems.append(Problem(file.name, 0, "", f"{where}: it is not as it must be", one["msg"]))
    return None


def _not_yaml(error: yaml.YAMLError) -> tuple[int, str, str]:
    mark = getattr(error, "problem_mark", None)
    why = getattr(error, "problem", None) or "it is not valid YAML"
    right = 'spaces, not tabs, two for each level; "quotes" around a text in which a colon or a # follows a space'
    return (mark.line + 1 if mark else 0), f"it cannot be understood from here on ({why})", right


def _entries(node: yaml.Node | None) -> list[_Entry]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [_Entry(_scalar(key), value, key.start_mark.line + 1) for key, value in node.value]


def _scalar(node: yaml.Node) -> str:
    """The text as it is written: `yes`, `12` and `null` are words here."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _is_list(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode)
