"""`connection prompts`: check the prompts that members get, after editing them, and see what people would be given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from services.notifier.ladder import PromptCatalogue

prompts = typer.Typer(no_args_is_help=True, help="The prompts that people take along: check them, try them out.")

_FOLDER = typer.Argument(
    file_okay=False,
    exists=True,
    help="A folder of words: one locale's, or all of them. Default: those that come along.",
)


@prompts.command()
def check(folder: Annotated[Path | None, _FOLDER] = None) -> None:
    """Say what is wrong with the prompts: file, line, prompt, and what would be right. Run it after every edit."""
    from services.notifier.catalogue import PROMPTS_FOLDER, examine, untranslated
    from services.notifier.wording import DEFAULT_LOCALE

    wrong = 0
    for locale in _locales(folder):
        examined = examine(locale)
        for problem in examined.problems:
            typer.echo(f"{locale.name}/{problem}")
        wrong += len(examined.problems)
        if locale.name != DEFAULT_LOCALE and (locale.parent / DEFAULT_LOCALE / PROMPTS_FOLDER).is_dir():
            for note in untranslated(examined.prompts, examine(locale.parent / DEFAULT_LOCALE).prompts):
                typer.echo(f"{locale.name}/{PROMPTS_FOLDER}/{note}")
                wrong += 1
        _console().print(_counts(examined.prompts, locale.name))
    if wrong:
        typer.echo(f"{wrong} {'thing needs' if wrong == 1 else 'things need'} putting right.", err=True)
        raise typer.Exit(1)
    typer.echo("All is well.")


@prompts.command(name="try")
def try_(
    folder: Annotated[Path | None, _FOLDER] = None,
    interest: Annotated[list[str] | None, typer.Option(help="What they share; may be given several times.")] = None,
    life_topic: Annotated[str, typer.Option(help="The life topic that brought them together.")] = "",
    pace: Annotated[int, typer.Option(min=1, max=5, help="How deep the least open of them would go.")] = 2,
    meetings: Annotated[int, typer.Option(min=1, max=100, help="How many times they meet.")] = 3,
    introduction: Annotated[str, typer.Option(help="Another word gives another draw.")] = "example",
) -> None:
    """Show which prompts some people would get, meeting by meeting."""
    from services.notifier.catalogue import CatalogueError, load_catalogue
    from services.notifier.prompts import prompts_for

    try:
        catalogue, encouragement = load_catalogue(_locales(folder)[0])
    except CatalogueError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None
    seen: set[str] = set()
    for meeting in range(1, meetings + 1):
        chosen = prompts_for(
            introduction, interest or [], catalogue, life_topic=life_topic, pace=pace, meeting=meeting, seen=seen
        )
        seen |= {prompt.name for prompt in chosen}
        typer.echo(f"Meeting {meeting}")
        for prompt in chosen:
            typer.echo(f"  {prompt.step:<9}{prompt.text}")
        typer.echo(f"  {encouragement.reminder(introduction, meeting)}\n")


def _locales(folder: Path | None) -> list[Path]:
    """The folders of locales that are meant: `folder` itself if it is one, else those in it."""
    from services.notifier.catalogue import PROMPTS_FOLDER

    if folder is None:
        import services.notifier

        folder = Path(services.notifier.__file__).parent / "words"
    # Resolved, so that "." has a name, too.
    folder = folder.resolve()
    if folder.name == PROMPTS_FOLDER:
        return [folder.parent]
    locales = [folder] if (folder / PROMPTS_FOLDER).is_dir() else []
    locales = locales or [place for place in sorted(folder.iterdir()) if (place / PROMPTS_FOLDER).is_dir()]
    if not locales:
        typer.echo(f"{folder} has no folder {PROMPTS_FOLDER!r} in it, nor in a folder below.", err=True)
        raise typer.Exit(2)
    return locales


def _counts(catalogue: PromptCatalogue, locale: str) -> Table:
    from services.notifier.ladder import STEPS

    table = Table("theme", "for", *STEPS, "all", title=f"{locale}: {len(catalogue.prompts)} prompts")
    for theme in catalogue.themes.values():
        counts = [len(catalogue.pool([theme.name], step)) for step in STEPS]
        table.add_row(theme.name, theme.audience, *map(str, counts), str(sum(counts)))
    return table


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 120)
