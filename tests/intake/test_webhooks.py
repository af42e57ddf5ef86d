"""What partners are told, when it is tried, and what an answer means: without Kafka and without a network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webhook_world import NOW, SECRETS, introduced, meeting, member, partner, proposed, reference

from services.intake.keyring import Keyring
from services.intake.problems import FieldError, Problem
from services.intake.webhooks.addresses import is_public, may_be_called
from services.intake.webhooks.answers import (
    JITTER,
    RETRY_AFTER_SECONDS_MAX,
    RETRY_SECONDS,
    Answer,
    after,
    is_too_late,
    meaning_of,
)
from services.intake.webhooks.lanes import Lanes
from services.intake.webhooks.messages import body_of, headers_of
from services.intake.webhooks.news import keyed_id
from services.intake.webhooks.rejections import rejection
from services.intake.webhooks.state import WebhooksState, given_up
from shared import topics
from shared.contracts import (
    ClosingReason,
    Introduction,
    IntroductionState,
    Partner,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    WebhookDelivery,
    WebhookEvent,
    WebhookOrder,
    WebhookOrderKind,
    WebhookOutcome,
    WebhookState,
)
from shared.kafka.codec import decode
from shared.outgoing import Outgoing

A, B, C = member("a"), member("b"), member("c", "chess-app")
DAY_MS = 86_400_000


class World:
    """A state, and the partners; what is written is applied, as the courier does."""

    def __init__(self, *partners: Partner) -> None:
        self.state = WebhooksState(kept_ms=30 * DAY_MS)
        self.partners = {one.source: one for one in partners or (partner(),)}

    def put(self, topic: Any, *records: Any) -> World:
        for record in records:
            self.state.apply(topic.name, record.key, record)
        return self

    def news(self, now_ms: int = NOW) -> list[Outgoing]:
        """Written at one time, whole, and then nothing more."""
        written: list[Outgoing] = []
        while not self.state.is_worked_out:
            some = self.state.news(self.partners.get, now_ms, looks_max=3)
            written += some
            for one in some:
                key, value = decode(one.topic, one.key.encode(), one.value)
                self.state.apply(one.topic, key, value)
        return written

    def told(self, now_ms: int = NOW) -> list[WebhookDelivery]:
        values = [WebhookDelivery.model_validate_json(one.value) for one in self.news(now_ms) if one.value]
        return sorted(values, key=lambda each: (each.member or "", each.occurred_at_ms, each.type))

    def outdated(self, now_ms: int) -> list[str]:
        self.state.look_for_outdated()
        return [one.key for one in self.news(now_ms) if one.topic == topics.WEBHOOK_DELIVERIES.name and not one.value]

    def types(self, whose: str, now_ms: int = NOW) -> list[str]:
        return [each.type for each in self.told(now_ms) if each.member == whose]


def closed(of: Introduction, reason: ClosingReason, at_ms: int = NOW) -> Introduction:
    update = {"state": IntroductionState.CLOSED, "closed_at_ms": at_ms, "closing_reason": reason}
    return of.model_copy(update={**update, "revision": of.revision + 1})


def test_each_partner_hears_of_its_own_members_alone() -> None:
    world = World(partner(), partner("chess-app", webhook_id_key="another"))
    world.put(topics.REFERENCES, reference("a"), reference("c", "chess-app"))
    world.put(topics.INTRODUCTIONS, proposed(A, C), introduced(proposed(A, C)))
    told = world.told()
    assert {(each.source, each.member) for each in told} == {("book-app", A), ("chess-app", C)}
    for each in told:
        body = body_of(each, world.state.subject_of(each)).decode()
        other = ("chess-app", C, '"c"') if each.member == A else ("book-app", A, '"a"')
        assert not [text for text in (*other, proposed(A, C).introduction) if text in body]
        assert json.loads(body)["subject"] == ("a" if each.member == A else "c")


def test_two_members_of_one_partner_cannot_be_told_to_be_in_one_introduction_by_its_id() -> None:
    world = World().put(topics.REFERENCES, reference("a"), reference("b"))
    told = world.put(topics.INTRODUCTIONS, proposed(A, B)).told()
    assert len({each.event for each in told}) == 2
    assert len({each.data["introduction"] for each in told}) == 2


def test_the_arc_is_told_in_order_and_once() -> None:
    world = World().put(topics.REFERENCES, reference("a"))
    first = proposed(A, B)
    world.put(topics.INTRODUCTIONS, first)
    assert world.types(A) == [WebhookEvent.SUGGESTED]
    known = introduced(first)
    world.put(topics.INTRODUCTIONS, known)
    assert world.types(A) == [WebhookEvent.INTRODUCED]
    answered = known.model_copy(update={"revision": 2, "meeting": meeting(1, first.members, met=(A,))})
    assert world.put(topics.INTRODUCTIONS, answered).told() == []  # people still answer
    second = known.model_copy(update={"revision": 3, "meeting": meeting(2, first.members)})
    told = world.put(topics.INTRODUCTIONS, second).told(NOW + DAY_MS)
    assert [(each.type, each.data["meeting"], each.occurred_at_ms) for each in told] == [
        (WebhookEvent.MET, 1, meeting(1, ()).ends_at_ms)
    ]
    world.state.look_at_everything()
    assert world.told() == []


@pytest.mark.parametrize("answers", [{"met": (A,)}, {"met": (A, B)}, {"met": (B,), "not_met": (A,)}])
def test_a_last_meeting_that_took_place_is_told_to_all_who_were_to_be_there(answers: Any) -> None:
    world = World().put(topics.REFERENCES, reference("a"), reference("b"))
    over = introduced(proposed(A, B)).model_copy(update={"meeting": meeting(1, tuple(sorted((A, B))), **answers)})
    world.put(topics.INTRODUCTIONS, closed(over, ClosingReason.SETTLED))
    assert [each.member for each in world.told() if each.type is WebhookEvent.MET] == sorted((A, B))


def test_a_meeting_that_did_not_take_place_is_told_to_nobody() -> None:
    world = World().put(topics.REFERENCES, reference("a"))
    over = introduced(proposed(A, B)).model_copy(update={"meeting": meeting(1, (A, B), not_met=(B,))})
    world.put(topics.INTRODUCTIONS, closed(over, ClosingReason.SETTLED))
    assert WebhookEvent.MET not in world.types(A)


@pytest.mark.parametrize("reason", [ClosingReason.DECLINED, ClosingReason.EXPIRED, ClosingReason.LEFT])
def test_no_event_says_that_or_why_it_fell_through(reason: ClosingReason) -> None:
    first = proposed(A, B)
    world = World().put(topics.REFERENCES, reference("a"), reference("b")).put(topics.INTRODUCTIONS, first)
    world.told()
    said = first.model_copy(update={"said_no": (B,), "said_yes": (A,), "revision": 1})
    assert world.put(topics.INTRODUCTIONS, said).told() == []
    assert world.put(topics.INTRODUCTIONS, closed(said, reason)).told() == []


def test_of_partners_without_a_webhook_nothing_is_kept_and_of_what_was_before_it_nothing_told() -> None:
    world = World(partner(webhook_url=None)).put(topics.REFERENCES, reference("a"))
    assert world.put(topics.INTRODUCTIONS, proposed(A, B)).news() == []
    world.partners["book-app"] = partner(webhook_since_ms=NOW + 1)
    world.state.look_at_everything()
    assert world.news() == []
    world.partners["book-app"] = partner()
    world.state.look_at_everything()
    assert len(world.news()) == 1


def test_a_webhook_from_before_there_was_a_key_for_ids_is_told_nothing_until_it_has_one() -> None:
    world = World(partner(webhook_id_key="")).put(topics.REFERENCES, reference("a"))
    world.put(topics.INTRODUCTIONS, proposed(A, B)).put(topics.PREFERENCES, erased(B))
    test = WebhookOrder(community="x", kind=WebhookOrderKind.TEST, source="book-app", ordered_at_ms=NOW)
    assert world.put(topics.WEBHOOK_ORDERS, test).news() == []
    problem = Problem("invalid-event", 422, "No.")
    assert rejected({"source": "book-app", "id": "e-1"}, problem, webhook_id_key="") is None
    with pytest.raises(AssertionError):
        keyed_id("", "w", "anything")
    world.partners["book-app"] = partner()
    world.state.look_at_everything()
    assert [each.type for each in world.told()] == [WebhookEvent.TEST, WebhookEvent.SUGGESTED], "nothing is lost"


def erased(whose: str) -> Preference:
    return Preference(community="london", member=whose, kind=PreferenceKind.ERASE, chosen_at_ms=NOW)


def test_an_erasure_is_told_while_the_reference_goes_and_takes_it_along_when_it_is_delivered() -> None:
    world = World().put(topics.REFERENCES, reference("a")).put(topics.INTRODUCTIONS, proposed(A, B))
    suggested = world.told()[0]
    written = world.put(topics.PREFERENCES, erased(A)).news()
    assert [(one.topic, one.value is None) for one in written] == [
        (topics.WEBHOOK_DELIVERIES.name, False),
        (topics.REFERENCES.name, True),
    ]
    last = WebhookDelivery.model_validate_json(written[0].value or b"")
    assert last.data == {"community": "london", "how": "erased"}
    assert world.state.subject_of(last) == "a"
    assert world.state.subject_of(suggested) is None  # it is not sent any more
    for answer in (Answer(WebhookOutcome.ACCEPTED, 200), Answer(WebhookOutcome.GONE, 410)):
        assert after(last, answer, schedule=(5,), now_ms=NOW, draws=random.Random(1)).subject is None
    # A sign-up that was under way comes to lie behind the tombstone: it is forgotten as well.
    again = world.put(topics.REFERENCES, reference("a")).news()
    assert [(one.topic, one.value) for one in again] == [(topics.REFERENCES.name, None)]


def test_unsubscribing_is_told_and_what_the_partner_asked_for_is_not() -> None:
    world = World().put(topics.REFERENCES, reference("a"), reference("b"))
    gone = Preference(community="london", member=A, kind=PreferenceKind.UNSUBSCRIBE, chosen_at_ms=NOW)
    assert [each.data["how"] for each in world.put(topics.PREFERENCES, gone).told()] == ["unsubscribed"]
    for kind, at_ms in ((PartnerRequestKind.LEFT, NOW - 1000), (PartnerRequestKind.ERASED, NOW)):
        world.put(topics.REFERENCES, reference("b"))
        asked = PartnerRequest(community="london", member=B, kind=kind, requested_at_ms=at_ms)
        written = world.put(topics.PARTNER_REQUESTS, asked).news()
        assert [(one.topic, one.value) for one in written] == [(topics.REFERENCES.name, None)]


def test_a_leave_does_not_forget_who_signed_up_after_it() -> None:
    left = PartnerRequest(community="london", member=A, kind=PartnerRequestKind.LEFT, requested_at_ms=NOW - 2000)
    world = World().put(topics.PARTNER_REQUESTS, left).put(topics.REFERENCES, reference("a"))
    assert world.news() == []


def test_what_is_over_is_remembered_as_long_as_it_could_be_worked_out_again_and_no_longer() -> None:
    world = World().put(topics.REFERENCES, reference("a")).put(topics.INTRODUCTIONS, proposed(A, B))
    done = after(
        world.told()[0], Answer(WebhookOutcome.ACCEPTED, 200), schedule=(5,), now_ms=NOW, draws=random.Random()
    )
    world.put(topics.WEBHOOK_DELIVERIES, done)
    much_later = NOW + 31 * DAY_MS
    assert world.outdated(much_later) == []
    world.put(topics.INTRODUCTIONS, closed(proposed(A, B), ClosingReason.EXPIRED))
    assert world.outdated(NOW + DAY_MS) == []
    assert world.outdated(much_later) == [done.event]
    world.put(topics.WEBHOOK_DELIVERIES)
    world.state.apply(topics.WEBHOOK_DELIVERIES.name, done.event, None)
    world.state.look_at_everything()
    assert world.news(much_later) == []


def test_per_member_one_after_the_other() -> None:
    world = World().put(topics.REFERENCES, reference("a"), reference("b"))
    told = world.put(topics.INTRODUCTIONS, introduced(proposed(A, B, at_ms=NOW - 5))).told()
    assert len(told) == 4
    due = world.state.due("book-app", NOW, busy=(), at_most=10)
    assert sorted((each.member or "", each.type) for each in due) == sorted((m, WebhookEvent.SUGGESTED) for m in (A, B))
    assert world.state.due("book-app", NOW, busy={each.event for each in due}, at_most=10) == []
    done = after(due[0], Answer(WebhookOutcome.ACCEPTED, 200), schedule=(5,), now_ms=NOW, draws=random.Random())
    world.put(topics.WEBHOOK_DELIVERIES, done)
    assert WebhookEvent.INTRODUCED in [each.type for each in world.state.due("book-app", NOW, busy=(), at_most=10)]
    world.put(topics.WEBHOOK_DELIVERIES, due[0])  # an older record, read again
    assert done.event not in [each.event for each in world.state.due("book-app", NOW, busy=(), at_most=10)]


def test_a_replay_sends_what_failed_again_once_with_the_same_id() -> None:
    world = World().put(topics.REFERENCES, reference("a"), reference("b"))
    lost, kept = world.put(topics.INTRODUCTIONS, proposed(A, B)).told()
    world.put(topics.WEBHOOK_DELIVERIES, given_up(lost, NOW))
    done = after(kept, Answer(WebhookOutcome.ACCEPTED, 200), schedule=(5,), now_ms=NOW, draws=random.Random())
    world.put(topics.WEBHOOK_DELIVERIES, done)
    order = WebhookOrder(
        community="x", kind=WebhookOrderKind.REPLAY, source="book-app", ordered_at_ms=NOW + 5, since_ms=NOW - 5
    )
    again = world.put(topics.WEBHOOK_ORDERS, order).told(NOW + 10)
    assert [(each.event, each.state, each.attempts) for each in again] == [(lost.event, WebhookState.PENDING, 0)]
    world.state.look_at_everything()
    assert world.told(NOW + 20) == []
    one = order.model_copy(update={"ordered_at_ms": NOW + 30, "event": kept.event})
    assert [each.event for each in world.put(topics.WEBHOOK_ORDERS, one).told(NOW + 40)] == [kept.event]
    other = order.model_copy(update={"ordered_at_ms": NOW + 50, "source": "chess-app"})
    assert world.put(topics.WEBHOOK_ORDERS, other).told(NOW + 60) == []


def test_after_a_410_nothing_is_sent_until_the_webhook_is_set_anew() -> None:
    world = World().put(topics.REFERENCES, reference("a"))
    told = world.put(topics.INTRODUCTIONS, proposed(A, B)).told()[0]
    gone = after(told, Answer(WebhookOutcome.GONE, 410), schedule=(5,), now_ms=NOW, draws=random.Random())
    assert not world.state.is_stopped(partner())
    world.put(topics.WEBHOOK_DELIVERIES, gone)
    assert world.state.is_stopped(partner())
    assert not world.state.is_stopped(partner(webhook_set_at_ms=NOW + 1))
    assert world.state.stopped(world.partners.get) == {"book-app"}
    world.partners["book-app"] = partner(webhook_set_at_ms=NOW + 1)
    assert world.state.stopped(world.partners.get) == set()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (200, "accepted"), (204, "accepted"), (301, "redirected"), (307, "redirected"), (400, "refused"),
        (401, "refused"), (404, "refused"), (410, "gone"), (429, "busy"), (500, "refused"), (503, "busy"),
    ],
)  # fmt: skip
def test_what_a_status_means(code: int, outcome: str) -> None:
    assert meaning_of(code).outcome == outcome


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120), (" 7 ", 7), ("Thu, 01 Jan 1970 00:01:00 GMT", 60), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("soon", 0), ("", 0), ("-5", 0), ("9" * 40, RETRY_AFTER_SECONDS_MAX), ("²", 0),
    ],
)  # fmt: skip
def test_retry_after_in_seconds_or_as_a_date(said: str, seconds: int) -> None:
    assert meaning_of(429, said).retry_after_seconds == seconds


@pytest.mark.parametrize(
    "said",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 01 Jan 0001 00:00:00", "Sat, 01 Jan 10000 00:00:00 GMT",
        "1 Jan 2020 00:00:00 +9999999999", "1 Jan 2020 00:00:00 +99999999999999999999999", "1 Jan 0000 0:0:0 GMT",
        "-1", "+1", "1.5", "1e9", "inf", "nan", "1_000", "0x10", "9" * 5000, "-" * 5000, "," * 60, ", , ,",
        "Thu, 32 Foo 1970 99:99:99 GMT", "Thu, 01 Jan 1970 00:00:-1 GMT", "()", "(", "1 Jan 99999999999999999999 0:0:0",
        "\x00", "\ud800",
    ],
)  # fmt: skip
def test_whatever_retry_after_says_it_is_a_time_within_bounds(said: str) -> None:
    for now_seconds in (0.0, NOW / 1000):
        answer = meaning_of(503, said, now_seconds=now_seconds)
        assert 0 <= answer.retry_after_seconds <= RETRY_AFTER_SECONDS_MAX


_WORDS = st.sampled_from(
    ["Thu,", "1", "01", "31", "Jan", "Dec", "9999", "0001", "10000", "00:00:00", "23:59:59", "24:0", "GMT", "-0000",
     "+2359", "-9999", "+" + "9" * 30, "-1", "(", ")", ",", ":", "-", "\x00", "²", "９"]
)  # fmt: skip


@given(said=st.text(max_size=80) | st.lists(_WORDS, max_size=9).map(" ".join), now_seconds=st.floats(-1e18, 1e18))
def test_no_retry_after_raises(said: str, now_seconds: float) -> None:
    assert 0 <= meaning_of(429, said, now_seconds=now_seconds).retry_after_seconds <= RETRY_AFTER_SECONDS_MAX


@given(at=st.datetimes(max_value=datetime(2100, 1, 1)), is_zoned=st.booleans())
def test_a_date_without_a_zone_is_in_utc(at: datetime, is_zoned: bool) -> None:
    at = at.replace(microsecond=0, year=max(at.year, 1970))
    said = at.strftime("%a, %d %b %Y %H:%M:%S") + (" GMT" if is_zoned else "")
    before = at.replace(tzinfo=UTC).timestamp() - 90
    assert meaning_of(429, said, now_seconds=before).retry_after_seconds == 90


def delivery(**changes: Any) -> WebhookDelivery:
    base = WebhookDelivery(
        data={},
        community="london",
        event="w_1",
        type=WebhookEvent.TEST,
        source="book-app",
        occurred_at_ms=NOW,
        queued_at_ms=NOW,
    )
    return base.model_copy(update=changes)


def test_it_is_tried_ten_times_over_three_days_and_then_given_up() -> None:
    one, now_ms, draws = delivery(), NOW, random.Random(3)
    tries = 0
    while one.state is WebhookState.PENDING:
        one = after(one, Answer(WebhookOutcome.SLOW), schedule=RETRY_SECONDS, now_ms=now_ms, draws=draws)
        tries += 1
        now_ms = max(now_ms, one.next_at_ms)
    assert (tries, one.state) == (10, WebhookState.FAILED)
    assert 3 * DAY_MS < now_ms - NOW < 4 * DAY_MS
    assert not is_too_late(delivery(), RETRY_SECONDS, NOW + 3 * DAY_MS)
    assert is_too_late(delivery(), RETRY_SECONDS, NOW + 4 * DAY_MS)


@given(attempts=st.integers(0, 8), seed=st.integers(), asked=st.integers(0, 10**6))
def test_a_pause_is_never_shorter_than_the_schedule_or_than_asked_for(attempts: int, seed: int, asked: int) -> None:
    answer = Answer(WebhookOutcome.BUSY, 429, asked)
    one = after(delivery(attempts=attempts), answer, schedule=RETRY_SECONDS, now_ms=NOW, draws=random.Random(seed))
    pause = (one.next_at_ms - NOW) / 1000
    assert pause >= max(RETRY_SECONDS[attempts], asked) - 0.001
    assert pause <= max(RETRY_SECONDS[attempts] * (1 + JITTER), asked)


def test_a_dead_partner_takes_one_place_and_leaves_the_others_theirs() -> None:
    lanes = Lanes(in_all_max=10, partner_max=4)
    assert lanes.free("dead", NOW) == 4
    for _ in range(4):
        lanes.enter("dead")
    assert lanes.free("dead", NOW) == 0
    assert lanes.free("well", NOW) == 4
    for _ in range(4):
        lanes.leave("dead", failed=True)
    assert lanes.free("dead", NOW) == 1
    lanes.enter("dead")
    lanes.leave("dead", failed=True, pause_until_ms=NOW + 1000)
    assert (lanes.free("dead", NOW), lanes.free("dead", NOW + 1000)) == (0, 1)
    lanes.enter("dead")
    lanes.leave("dead", failed=False)
    assert lanes.free("dead", NOW + 1000) == 4


def test_it_is_signed_as_standard_webhooks_has_it_with_every_live_secret() -> None:
    body = body_of(delivery(), None)
    headers = headers_of(delivery(), body, SECRETS, NOW)
    for secret in SECRETS:  # the specification's own algorithm, written anew
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert wanted in headers["webhook-signature"].split(" ")
    assert headers["webhook-timestamp"] == str(NOW // 1000)
    event = json.loads(body)
    assert (event["specversion"], event["id"], event["type"]) == ("1.0", "w_1", "connection.webhook.test")


@pytest.mark.parametrize(
    "address",
    [
        # IPv4: this network, private, shared, ourselves, link-local, protocols, documentation, benchmarks, multicast
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",  # noqa: S104
        "127.255.255.254", "169.254.169.254", "172.16.3.4", "172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.0.10",
        "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
        "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        # IPv6 of its own
        "::", "::1", "100::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1",
        "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1",
        "2606:4700:4700::1111%eth0", "::2", "0:1::1", "200::1",
        # IPv4 in disguise: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:100.64.0.1", "::ffff:0.0.0.0", "::127.0.0.1",
        "::10.0.0.1", "::8.8.8.8", "::ffff:0:10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:ffff::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::", "2002:6440:1::", "2001::1",
        "2001:0:a00:1::f5ff:fffe", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fe80::5efe:10.0.0.1",
        "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:10.0.0.1", "2606:4700::5efe:8.8.8.8",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "128.0.0.1", "169.253.1.1",
        "172.15.0.1", "172.32.0.1", "192.0.1.1", "192.167.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.254",
        "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4009::200e", "2001:67c:4e8::1", "2001:200::1",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2606:4700::1:5efe:808:808",
    ],
)  # fmt: skip
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@given(
    number=st.integers(0, 2**128 - 1), inner=st.sampled_from(["10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1"])
)
def test_no_prefix_makes_an_address_of_ours_public(number: int, inner: str) -> None:
    hidden = int(IPv4Address(inner))
    for disguise in (0xFFFF << 32, 0, 0x64FF9B << 96, 0x64FF9B0001 << 80):
        assert not is_public(str(IPv6Address(disguise | hidden)))
    assert not is_public(str(IPv6Address(0x2002 << 112 | hidden << 80 | number & (1 << 80) - 1)))
    assert not is_public(str(IPv6Address(0x20010000 << 96 | number & (1 << 96) - 1)))
    assert not is_public(str(IPv6Address(number >> 64 << 64 | 0x5EFE << 32 | hidden)))


def test_only_https_is_called() -> None:
    assert may_be_called("https://app.example/hook", allows_private=False)
    for url in (
        "http://app.example",
        "ftp://a",
        "https://",
        "https://me:pw@app.example",
        "https://a:x/",
        "file:///etc",
    ):
        assert not may_be_called(url, allows_private=False)
    assert may_be_called("http://127.0.0.1:9/hook", allows_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example", "https://app.example:8443/a?b=c#d", "https://app.example./", "https://xn--bcher-kva.example/",
        "https://[2606:4700:4700::1111]/", "https://a_b.example/", "HTTPS://APP.example/%20",
        "https://" + "a" * 63 + ".example",
    ],
)  # fmt: skip
def test_urls_that_are_called(url: str) -> None:
    assert may_be_called(url, allows_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://bücher.example/", "https://app.example/ü", "https://app.example/a b", "https://app.example/\r\nx: y",
        "https://app.example/\x00", "https://" + "a" * 64 + ".example/", "https://a..example/", "https://.example/",
        "https://" + "a." * 130 + "example/", "https://app.example/" + "a" * 2000, "https://app.example:0/", "https://[::1/",
        "https://[fe80::1%25eth0]/", "https://app.example\\@x/", "https://a%00b.example/", "https://:443/", "https://\ud800/",
    ],
)  # fmt: skip
def test_urls_of_which_a_part_cannot_be_sent_are_not_called(url: str) -> None:
    assert not may_be_called(url, allows_private=False)


def rejected(value: Any, problem: Problem, **changes: Any) -> Outgoing | None:
    keyring = Keyring([partner(**changes)])
    place = SimpleNamespace(topic="signups", partition=1, offset=5, timestamp=NOW)
    return rejection(place, json.dumps(value).encode(), problem, keyring, NOW)  # type: ignore[arg-type]


def test_of_a_rejected_event_its_id_and_where_it_is_wrong_are_told_and_nothing_of_its_content() -> None:
    problem = Problem(
        "invalid-event",
        422,
        "No.",
        errors=(FieldError("/data/place/name", "Peckham?"), FieldError("/data/amara@inbox.example", "extra")),
    )
    event = {"source": "book-app", "id": "e-1", "subject": "u-1", "data": {"first_name": "Amara"}}
    told = rejected(event, problem)
    assert told is not None
    value = WebhookDelivery.model_validate_json(told.value or b"")
    assert value.data == {
        "event": "e-1",
        "problem": "/problems/invalid-event",
        "pointers": ["/data/place/name"],
    }
    assert "Amara" not in (told.value or b"").decode()
    assert rejected(event, problem) == told  # the same id whenever the batch comes again
    assert rejected(event | {"source": "nobody"}, problem) is None
    assert rejected(event, problem, webhook_url=None) is None
    assert rejected([1], problem) is None
