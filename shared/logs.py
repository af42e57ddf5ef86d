"""Logs: one JSON object a line on standard error, without personal data.

What may be logged is ids, counts, topics and reasons of our own. Exceptions are
logged with their class and the place they came from, never with their message or
local variables: a message may hold what a person wrote.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

EventDict = MutableMapping[str, Any]


def configure_logs(service: str, level: str = "INFO") -> None:
    """Send everything that this process logs through structlog, as JSON lines on standard error."""
    shared_processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service_adder(service),
        _exception_without_message,
    ]
    structlog.configure(
        processors=[*shared_processors, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exception_without_message,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("aiokafka", "uvicorn.access", "httpx", "faststream", "broker", "httpcore", "numba"):
        logging.getLogger(chatty).setLevel("WARNING")


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return log


def where_it_broke(error: BaseException) -> dict[str, str]:
    """The class of an exception and the last place of ours that it passed: all that may be logged of it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    at = (ours or frames)[-1:]
    place = f"{at[0].filename.rsplit('/', 2)[-2]}/{at[0].filename.rsplit('/', 1)[-1]}:{at[0].lineno}" if at else ""
    return {"error": type(error).__name__, "at": place}


def _service_adder(service: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add


def _exception_without_message(_logger: Any, _method: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else None
    if error is not None:
        event.update(where_it_broke(error))
    return event
