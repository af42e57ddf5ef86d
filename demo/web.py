"""Serves a web application within a running event loop: for the inbox and the demo's page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

HOST = "127.0.0.1"
_GRACE_SECONDS = 1
_POLL_SECONDS = 0.01


@contextlib.asynccontextmanager
async def web_serving(app: FastAPI, port: int) -> AsyncIterator[int]:
    """Serve `app` on this machine; gives the port, which is a free one if 0 was asked for.

    Raises
    ------
    OSError
        if the port is taken.
    """
    config = uvicorn.Config(
        app, host=HOST, port=port, log_level="critical", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    server = _Server(config)
    task = asyncio.create_task(server.run_here())
    try:
        while not server.started:
            if task.done():
                raise OSError(f"port {port} cannot be opened: something else listens there")
            await asyncio.sleep(_POLL_SECONDS)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """Leaves signals, and the end of the process, to the program that it is a part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def run_here(self) -> None:
        with contextlib.suppress(SystemExit):  # uvicorn's way to say that the port is taken
            await self.serve()
