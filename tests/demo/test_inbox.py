"""The local inbox: it keeps what it acknowledged, shows duplicates, and speaks as Mailpit does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest

from demo.inbox import serving
from demo.mailbox import Bounds, Mailbox


@dataclass
class Served:
    mailbox: Mailbox
    smtp_port: int
    api: httpx.AsyncClient

    async def send(self, raw: bytes, to: str = "amara@inbox.example") -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.smtp_port, start_tls=False) as client:
            await client.sendmail("hello@london.example", [to], raw)


@pytest.fixture
async def inbox() -> AsyncIterator[Served]:
    mailbox = Mailbox()
    async with (
        serving(mailbox) as (smtp_port, http_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as api,
    ):
        yield Served(mailbox, smtp_port, api)


def _email(message_id: str = "<abc@london.example>", text: str = "Hello Zoë.\n.one dot\n..two\n") -> bytes:
    message = EmailMessage()
    message["Message-ID"] = message_id
    message["From"] = "London Connection <hello@london.example>"
    message["To"] = "Amara <amara@inbox.example>"
    message["Subject"] = "Somebody in Hackney – for Zoë"
    message.set_content(text, cte="8bit")
    message.add_alternative("<h1>Hello Zoë</h1>", subtype="html")
    return message.as_bytes()


async def test_a_message_is_shown_as_it_was_sent(inbox: Served) -> None:
    await inbox.send(_email())

    listed = (await inbox.api.get("/api/v1/messages")).json()
    assert listed["total"] == listed["messages_count"] == 1
    message = (await inbox.api.get(f"/api/v1/message/{listed['messages'][0]['ID']}")).json()
    assert message["MessageID"] == "abc@london.example"
    assert message["To"] == [{"Name": "Amara", "Address": "amara@inbox.example"}]
    assert message["Subject"] == "Somebody in Hackney – for Zoë"
    assert message["Text"].replace("\r\n", "\n") == "Hello Zoë.\n.one dot\n..two\n"
    view = await inbox.api.get(f"/view/{message['ID']}.html")
    assert "<h1>Hello Zoë</h1>" in view.text
    assert "default-src 'none'" in view.headers["content-security-policy"]


async def test_two_copies_of_one_email_are_two_messages(inbox: Served) -> None:
    await inbox.send(_email())
    await inbox.send(_email("<other@london.example>"))
    await inbox.send(_email())

    found = (await inbox.api.get("/api/v1/search", params={"query": 'message-id:"<abc@london.example>"'})).json()
    assert found["messages_count"] == 2
    assert [message["ID"] for message in found["messages"]] == ["00000003", "00000001"]


@pytest.mark.parametrize(
    ("query", "matching"),
    [
        ("message-id:abc@london.example", 1),
        ('message-id:"abc@london"', 1),
        ("message-id:nothing@london.example", 0),
        ("to:AMARA@inbox.example", 1),
        ("to:kofi", 0),
        ('subject:"in hackney"', 1),
        ("hello to:amara", 1),
        ('an "unpaired quote', 0),
    ],
)
async def test_a_search_matches_as_mailpit_does(inbox: Served, query: str, matching: int) -> None:
    await inbox.send(_email())
    found = await inbox.api.get("/api/v1/search", params={"query": query})
    assert found.json()["messages_count"] == matching


async def test_pages_are_newest_first(inbox: Served) -> None:
    for number in range(5):
        await inbox.send(_email(f"<{number}@london.example>"))
    page = (await inbox.api.get("/api/v1/messages", params={"start": 1, "limit": 2})).json()
    assert [message["MessageID"] for message in page["messages"]] == ["3@london.example", "2@london.example"]
    assert page["total"] == 5


async def test_what_was_not_acknowledged_is_not_kept(inbox: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", inbox.smtp_port)
    for line in (b"EHLO me", b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>", b"DATA", b"Subject: half"):
        writer.write(line + b"\r\n")
    await writer.drain()
    while not (await reader.readline()).startswith(b"354"):
        pass
    writer.close()
    await writer.wait_closed()

    await inbox.send(_email())  # it still serves
    assert len(inbox.mailbox) == 1


async def test_a_message_that_is_too_big_is_refused_and_the_next_is_taken(inbox: Served) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=inbox.smtp_port, start_tls=False) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await client.sendmail(
                "a@b.example", ["c@d.example"], b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 1_000_000
            )
        assert refused.value.code == 552
        await client.sendmail("a@b.example", ["c@d.example"], _email())
    assert len(inbox.mailbox) == 1


async def test_unknown_messages_are_404(inbox: Served) -> None:
    assert (await inbox.api.get("/api/v1/message/00000009")).status_code == 404
    assert (await inbox.api.get("/view/latest.html")).status_code == 404


def test_beyond_its_bounds_the_oldest_go_and_are_counted() -> None:
    mailbox = Mailbox(Bounds(messages_max=2))
    for number in range(3):
        mailbox.add(_email(f"<{number}@x>"), ("a@b.example",), 0)
    assert [stored.message_id for stored in mailbox.page(0, 9)] == ["2@x", "1@x"]
    assert mailbox.dropped == 1
    assert mailbox.search("message-id:0@x") == []


def test_a_message_id_in_the_body_is_not_its_own() -> None:
    mailbox = Mailbox()
    assert mailbox.add(b"Subject: x\r\n\r\nMessage-ID: <fake@x>\r\n", ("a@b.example",), 0).message_id == ""
