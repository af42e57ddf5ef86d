"""Takes bounces in by SMTP, for the mail server that the world sends them to, or for the world itself.

Only mail to our return paths is taken: it is neither a relay nor a mailbox. A report is
durable before it is acknowledged; where it cannot be, the other side is told to come
again, and does. Bounded in every way: connections, size, patience.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from services.notifier.bounces import Report, read_report
from services.notifier.verp import ReturnPaths
from shared.clock import Clock
from shared.contracts import Bounce
from shared.logs import logger, where_it_broke

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

log = logger(__name__)

_PATIENCE_SECONDS = 60.0
_RECIPIENTS_MAX = 10

RecordBounce = Callable[[Bounce], Awaitable[None]]
"""Returns once the bounce is durable."""


class BounceTaker:
    """What happens to one report, however it came."""

    def __init__(
        self,
        paths: ReturnPaths,
        communities: Collection[str],
        record: RecordBounce,
        clock: Clock,
        count: Callable[[Report], None] = lambda report: None,
    ) -> None:
        self.paths = paths
        self._communities = communities
        self._record = record
        self._clock = clock
        self._count = count

    async def take(self, raw: bytes, recipients: list[str]) -> Report:
        """Read a report and record what follows from it. Raises what recording raises, and then nothing is counted."""
        report = await asyncio.to_thread(read_report, raw, recipients, self.paths, self._communities)
        bounce = report.as_bounce(self._clock())
        if bounce is not None:
            await self._record(bounce)
        self._count(report)
        log.info("report_taken", kind=report.kind, status=report.status, genuine=report.about is not None)
        return report


class _Handler:
    """aiosmtpd's hooks."""

    def __init__(self, taker: BounceTaker) -> None:
        self._taker = taker

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self._taker.paths.is_ours(address):
            return "550 5.1.1 Only bounces are taken here"
        if len(envelope.rcpt_tos) >= _RECIPIENTS_MAX:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        try:
            await self._taker.take(content, envelope.rcpt_tos)
        except Exception as error:  # Whatever kept it from being durable: the other side tries again.
            log.error("report could not be recorded", **where_it_broke(error))
            return "451 4.3.0 Try again later"
        return "250 2.0.0 Ok"


@asynccontextmanager
async def listening_for_bounces(
    taker: BounceTaker, *, host: str, port: int, bytes_max: int, connections_max: int
) -> AsyncIterator[int]:
    """Listen in this event loop; gives the port (0 asks for a free one).

    Raises
    ------
    OSError
        if the port is taken.
    """
    from aiosmtpd.smtp import SMTP  # Only who listens needs it.

    logging.getLogger("mail.log").setLevel(logging.WARNING)  # It notes every command, and addresses with it.
    loop = asyncio.get_running_loop()
    connected = 0

    class Connection(SMTP):
        def connection_made(self, transport: Any) -> None:
            nonlocal connected
            connected += 1
            if connected > connections_max:
                transport.write(b"421 4.3.2 Too many connections, come again\r\n")
                transport.close()
                return
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            nonlocal connected
            connected -= 1
            if self.session is not None:
                super().connection_lost(error)

    def connection() -> SMTP:
        return Connection(
            _Handler(taker),
            data_size_limit=bytes_max,
            enable_SMTPUTF8=True,
            ident="London Connection bounces",
            hostname="bounces",
            timeout=_PATIENCE_SECONDS,
            loop=loop,
        )

    server = await loop.create_server(connection, host, port)
    async with server:
        yield server.sockets[0].getsockname()[1]
