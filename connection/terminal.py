"""How commands speak to an operator: tables, a plain word instead of a stack trace, and the status to end with."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError
from rich.console import Console

from shared.kafka.admin import TopicError
from shared.kafka.reachable import why_unreachable
from shared.kafka.readable import why_not_readable
from shared.kafka.rights import RightsError
from shared.settings import SECRETS_DIR, KafkaSettings, Settings
from shared.topics import TopicSpec

TRY_AGAIN = 75
"""EX_TEMPFAIL: what an MTA's pipe is told to come again with."""
_PIPED_LETTERS = 200
_LEFT_OUT = "attempted to load secret file"
"""How the warning begins by which pydantic-settings says that it leaves a file out, and then goes on without it."""
_NOT_ALLOWED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

A = TypeVar("A")
S = TypeVar("S", bound=BaseSettings)


class Refused(Exception):
    """Kafka cannot be worked with as things are. The text says what to do; `status` is what to end with."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


async def kafka(*reads: TopicSpec) -> KafkaSettings:
    """The settings, once it is sure that a broker takes us and that these topics are there and may be read.

    Raises `Refused`: to a user who may not read it every topic would look empty.
    """
    settings = read_settings(KafkaSettings)
    if (why := await why_unreachable(settings)) is not None:
        raise Refused(why, TRY_AGAIN)
    if (why := await why_not_readable(settings, [topic.name for topic in reads])) is not None:
        raise Refused(why, 1)
    return settings


def ask(what: Coroutine[Any, Any, A]) -> A:
    """Run it against Kafka; where that cannot be there is a plain word, and a status that tells why."""
    try:
        with _quiet_client():
            return asyncio.run(what)
    except Refused as refused:
        give_up(str(refused), refused.status)
    except (TopicError, RightsError) as error:
        give_up(str(error), 1)
    except _NOT_ALLOWED as error:
        kind = type(error).__name__.removesuffix("Error").removesuffix("AuthorizationFailed")
        which = f"{kind} {', '.join(map(str, error.args))}".strip()
        give_up(f"this Kafka user may not do that ({which}): `connection topics rights` shows who may", 1)
    except (KafkaError, OSError) as error:
        give_up(
            f"Kafka did not answer ({type(error).__name__}): check KAFKA_BOOTSTRAP_SERVERS, and try again.", TRY_AGAIN
        )


@contextmanager
def _quiet_client() -> Iterator[None]:
    """What the client library would say of a failure as well, over several lines, is left to us."""
    log = logging.getLogger("aiokafka")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


def read_settings(settings_class: type[S], who: str = "") -> S:
    """The settings; ends the program with a line for each that is wrong, status 2. `who` begins each line."""
    begin = f"{who}: " if who else ""
    if SECRETS_DIR is not None and not Path(SECRETS_DIR).is_dir():
        give_up(f"{begin}SECRETS_DIR: there is no such folder", 2)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        made = _made(settings_class)
    for text in (str(one.message) for one in warned):
        if text.startswith(_LEFT_OUT):
            which = text.split('"')[1]
            give_up(f"{begin}SECRETS_DIR: {which} is not read: must be a file in that folder, and no link out of it", 2)
    if isinstance(made, list):
        give_up("\n".join(begin + line for line in made), 2)
    return made


def _made(settings_class: type[S]) -> S | list[str]:
    """The settings, or what is wrong with them; never what they hold, which may be a secret."""
    try:
        return settings_class()
    except ValidationError as error:
        return list(wrong_settings(error))
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = _variable(settings_class.__name__, field[1]) if field else "one of them"
        if "parsing" in str(error):
            return [f"setting {name}: must be JSON, and is not (it may be empty)"]
        return [f"setting {name}: its file in SECRETS_DIR cannot be read: must be text"]
    except (OSError, UnicodeDecodeError) as error:
        return [f"SECRETS_DIR: a file in it cannot be read ({type(error).__name__}): must be text"]


def wrong_settings(error: ValidationError) -> Iterator[str]:
    """A line for each setting that is wrong, with the name of its variable and without what it holds."""
    for problem in error.errors(include_input=False):
        field, *inside = (str(part) for part in problem["loc"]) if problem["loc"] else ("",)
        which = f"setting {_variable(error.title, field)}: " if field else ""
        where = f"{'.'.join(inside)}: " if inside else ""
        yield f"{which}{where}{problem['msg'].removeprefix('Value error, ')}"


def _variable(settings_class: str, field: str) -> str:
    """What the environment calls a setting: by its class's prefix, unless it has a name of its own."""
    for one in _subclasses(Settings):
        if one.__name__ == settings_class and field in one.model_fields:
            own = one.model_fields[field].validation_alias
            return own if isinstance(own, str) else f"{one.model_config.get('env_prefix') or ''}{field}".upper()
    return field.upper()


def _subclasses(of: type[Settings]) -> Iterator[type[Settings]]:
    for one in of.__subclasses__():
        yield one
        yield from _subclasses(one)


def give_up(why: str, code: int) -> NoReturn:
    """Say why on standard error, and end with that status."""
    typer.echo(why, err=True)
    sys.exit(code)


def console() -> Console:
    """As wide as the terminal; of a fixed width where the output goes elsewhere, so that tables keep their lines."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_LETTERS)
