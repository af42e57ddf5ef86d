"""Who may send, and for whom: keys, signatures, and that nobody reaches another partner's members."""

from __future__ import annotations

import json
from typing import Any

import pytest
from endpoint import BATCH, STRUCTURED, InMemory, binary, event
from test_accept import DESK, NOW_MS

from services.intake.accept import Accepted
from services.intake.keyring import Keyring, hash_of, keyring_of
from services.intake.problems import Problem
from services.intake.signed import signature_problem
from shared.contracts import EventType, Partner, PartnerKey
from shared.ids import member_id
from shared.signatures import BadSignature, sign, verify

# Standard Webhooks 1.0.0: the vector that its reference libraries are tested with
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105
MESSAGE, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def check(signatures: str, *, at: int = TIMESTAMP, secrets: tuple[str, ...] = (SECRET,), **changes: Any) -> None:
    given = {"message_id": MESSAGE, "timestamp": str(TIMESTAMP), "body": BODY} | changes
    verify(secrets, signatures=signatures, now_seconds=at, **given)


def test_the_published_vector() -> None:
    assert sign(SECRET, MESSAGE, TIMESTAMP, BODY) == SIGNATURE
    check(SIGNATURE)
    check(f"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x {SIGNATURE}", secrets=(OTHER_SECRET, SECRET))
    check(SIGNATURE, at=TIMESTAMP + 299)


@pytest.mark.parametrize(
    ("signatures", "changes"),
    [
        ("", {}),
        ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", {}),
        (SIGNATURE.replace("v1", "v1a"), {}),
        (SIGNATURE, {"body": BODY + b" "}),
        (SIGNATURE, {"message_id": "msg_other"}),
        (SIGNATURE, {"message_id": ""}),
        (SIGNATURE, {"timestamp": "hello"}),
        (SIGNATURE, {"timestamp": "9" * 400}),
        (SIGNATURE, {"at": TIMESTAMP + 301}),
        (SIGNATURE, {"at": TIMESTAMP - 301}),
        (SIGNATURE, {"secrets": (OTHER_SECRET,)}),
        (SIGNATURE, {"secrets": ()}),
        (SIGNATURE, {"secrets": ("whsec_",)}),
        (SIGNATURE, {"secrets": ("whsec_!",)}),
        (" ".join([SIGNATURE.replace("g0", "g1")] * 10 + [SIGNATURE]), {}),
    ],
)
def test_what_is_not_signed_as_it_must_be(signatures: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        check(signatures, **changes)


def test_a_secret_may_lack_its_padding() -> None:
    for secret in ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr"):
        padded = secret + "=" * (-len(secret.removeprefix("whsec_")) % 4)
        check(sign(padded, MESSAGE, TIMESTAMP, BODY), secrets=(secret,))


def signed(body: bytes, secret: str = SECRET, at_ms: int = NOW_MS) -> dict[str, str]:
    seconds = at_ms // 1000
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return dict(zip(names, ("msg_1", str(seconds), sign(secret, "msg_1", seconds, body)), strict=True))


def test_where_signatures_are_required_nothing_else_is_taken() -> None:
    intake = InMemory()
    known = intake.keyring.get("book-app")
    assert known is not None
    update = {"signing_secrets": (OTHER_SECRET, SECRET), "signature_required": True}
    intake.keyring = Keyring([known.model_copy(update=update)])
    intake.app._keyring = intake.keyring
    body = json.dumps(event("a")).encode()
    assert intake.post(body, STRUCTURED | signed(body)).status_code == 202
    assert intake.post(body, STRUCTURED | signed(body, OTHER_SECRET)).status_code == 202
    for headers in ({}, signed(body + b" "), signed(body, at_ms=NOW_MS - 301_000)):
        answer = intake.post(body, STRUCTURED | headers)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (401, "bad-signature")


def test_on_the_topic_the_time_of_the_message_counts() -> None:
    partner = Partner(source="a", signing_secrets=(SECRET,), signature_required=True)
    headers = {name.encode(): value.encode() for name, value in signed(BODY).items()}
    assert signature_problem(partner, headers, BODY, NOW_MS) is None
    assert signature_problem(partner, headers, BODY, NOW_MS + 301_000) is not None
    assert signature_problem(partner, {}, BODY, NOW_MS) is not None


# Keys


def key(text: str) -> PartnerKey:
    return PartnerKey(prefix=text[:11], sha256=hash_of(text), created_at_ms=1)


def test_both_live_keys_work_and_a_revoked_one_stops_at_once() -> None:
    keyring = Keyring()
    first, second = "lc_aaaaaaaa1", "lc_aaaaaaaa2"
    keyring.put("a", Partner(source="a", keys=(key(first), key(second))))
    for text in (first, second):
        partner = keyring.partner(f"Bearer {text}")
        assert partner is not None
        assert partner.source == "a"
    keyring.put("a", Partner(source="a", keys=(key(second),)))
    assert keyring.partner(f"Bearer {first}") is None
    assert "a" in keyring
    keyring.put("a", Partner(source="a"))
    assert keyring.partner(f"Bearer {second}") is None
    assert "a" not in keyring
    keyring.put("a", None)
    assert keyring.get("a") is None


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic sesame", "sesame", "Bearer sesame2", "Bearer sesam"]
)
def test_nothing_but_the_key_opens(header: str) -> None:
    assert keyring_of({"book-app": "sesame"}).partner(header) is None


def test_partners_of_the_settings_stay() -> None:
    keyring = keyring_of({"demo": "sesame"})
    keyring.put("demo", None)
    assert "demo" in keyring


# Another partner's members

KINDS = [kind.value for kind in EventType]
SOME_DATA: dict[str, Any] = {
    EventType.PAUSED: {"community": "london"},
    EventType.BLOCKED: {"community": "london", "blocked": "user-18"},
    EventType.LEFT: {"community": "london"},
    EventType.ERASED: {"community": "london"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["structured", "binary", "batch", "dry run"])
def test_nobody_reaches_anothers_member_or_learns_that_there_is_one(kind: str, way: str) -> None:
    intake = InMemory()
    assert intake.post(event("user-17")).status_code == 202
    before = list(intake.published)
    answers = []
    for subject in ("user-17", "nobody-of-this-name"):
        foreign = event(subject, type=kind, id="1")
        foreign["data"] = SOME_DATA.get(kind, foreign["data"])
        if way == "binary":
            answer = intake.post(foreign["data"], binary(foreign), key="mellon")
        elif way == "batch":
            answer = intake.post([foreign], BATCH, key="mellon")
            assert answer.json()["results"][0]["status"] == 403
        else:
            answer = intake.post(foreign, key="mellon", query="?dry_run=true" if way == "dry run" else "")
        if way != "batch":
            assert answer.status_code == 403
        headers = {name: value for name, value in answer.headers.items() if not name.startswith("ratelimit-")}
        answers.append((answer.status_code, answer.content, headers))
    assert answers[0] == answers[1]
    assert intake.published == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_reference_at_another_partner_is_somebody_else(kind: str) -> None:
    data = SOME_DATA.get(kind, event("user-17")["data"])
    decision = DESK.accept(
        event("user-17", type=kind, source="chess-app", data=data), partner="chess-app", now_ms=NOW_MS
    )
    assert isinstance(decision, Accepted)
    theirs = [member_id("london", "book-app", name) for name in ("user-17", "user-18")]
    for record in decision.records:
        assert not any(member in record.key or member.encode() in (record.value or b"") for member in theirs)


def test_without_a_key_nothing_is_said_but_that() -> None:
    intake = InMemory()
    for wrong in (None, "wrong", "lc_wrong"):
        answer = intake.post(event("user-17"), key=wrong)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    refused = DESK.accept(event("user-17", source="chess-app"), partner=None, now_ms=NOW_MS)
    assert isinstance(refused, Problem)
    assert refused.status == 403
