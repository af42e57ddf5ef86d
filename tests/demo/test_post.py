"""The letterbox: every message once, however they come in."""

from __future__ import annotations

import asyncio

import httpx

from demo.inbox import build_app
from demo.mailbox import Mailbox
from demo.post import Letterbox


def _letterbox(mailbox: Mailbox) -> Letterbox:
    transport = httpx.ASGITransport(app=build_app(mailbox))

    async def let_others_run(request: httpx.Request) -> None:
        await asyncio.sleep(0)

    hooks = {"request": [let_others_run]}
    return Letterbox(httpx.AsyncClient(transport=transport, base_url="http://inbox", event_hooks=hooks))


def _drop(mailbox: Mailbox, number: int) -> None:
    raw = f"Message-ID: <{number}@x>\r\nSubject: s\r\n\r\nHello {number}\r\n".encode()
    mailbox.add(raw, (f"{number}@inbox.example",), number)


async def test_every_message_is_read_once_and_in_order_also_beyond_a_page() -> None:
    mailbox = Mailbox()
    letterbox = _letterbox(mailbox)
    assert await letterbox.new() == []
    for number in range(1300):
        _drop(mailbox, number)
    assert [post.message_id for post in await letterbox.new()] == [f"{number}@x" for number in range(1300)]
    assert await letterbox.new() == []
    _drop(mailbox, 1300)
    (post,) = await letterbox.new()
    assert (post.recipient, post.subject) == ("1300@inbox.example", "s")
    assert (await letterbox.text(post)).strip() == "Hello 1300"
    assert await letterbox.total() == 1301


async def test_what_comes_in_while_pages_are_turned_is_neither_missed_nor_read_twice() -> None:
    mailbox = Mailbox()
    letterbox = _letterbox(mailbox)
    seen: list[str] = []

    async def deliver() -> None:
        for number in range(2000):
            _drop(mailbox, number)
            if number % 37 == 0:
                await asyncio.sleep(0)

    delivering = asyncio.create_task(deliver())
    while not delivering.done() or len(seen) < 2000:
        seen += [post.message_id for post in await letterbox.new()]
    assert sorted(seen) == sorted(f"{number}@x" for number in range(2000))
