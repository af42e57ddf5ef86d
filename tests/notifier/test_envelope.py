"""The message on the wire: the standard library's bytes, and headers that mail systems look for."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.envelope import header_text, mailing_headers, new_message, person, wire_bytes

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=400)


@given(subject=texts, name=texts, text=texts, html=texts)
def test_the_quick_way_gives_the_same_bytes_as_the_standard_library(
    subject: str, name: str, text: str, html: str
) -> None:
    headers = {
        "From": person("London Connection", "hello@example.org"),
        "To": person(name, "amara@example.org"),
        "Subject": header_text(subject),
    }
    message = new_message(headers, text, html, "seed")
    quick = wire_bytes(message)
    assert quick == message.as_bytes()
    assert quick.count(b"\n") == quick.count(b"\r\n") == quick.count(b"\r"), "no CR or LF stands alone"


@given(texts, st.sampled_from(["\r", "\n", "\r\n", "\n\r"]))
def test_a_message_of_any_kind_has_whole_line_ends(text: str, end: str) -> None:
    message = EmailMessage(policy=policy.SMTP.clone(linesep="\n"))
    message["Subject"] = "Hello"
    message.set_payload(f"a{end}.{end}{text}".encode("ascii", "replace").decode())
    wire = wire_bytes(message)
    assert wire.count(b"\n") == wire.count(b"\r\n") == wire.count(b"\r")


def test_one_click_and_no_person_in_what_is_counted() -> None:
    headers = mailing_headers("invitation", "london", "https://example.org/u/abc", is_awaited=False)
    message = message_from_bytes(wire_bytes(new_message(headers, "text", "<p>html</p>", "seed")))
    assert message["List-Unsubscribe"] == "<https://example.org/u/abc>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Feedback-ID"] == "invitation:london:connection"
    assert message["Precedence"] == "bulk"
    assert "Precedence" not in mailing_headers("introduction", "london", "https://example.org/u/abc", is_awaited=True)
