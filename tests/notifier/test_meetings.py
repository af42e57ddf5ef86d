"""What comes after the introduction, rule by rule."""

from __future__ import annotations

import pytest
from arc_samples import LEAVER, NEWCOMER, Story
from hypothesis import given
from hypothesis import strategies as st
from notifier_samples import CHECK_IN_MS, GROUP, LONDON, NOW, PAIR, SETTLE_MS

from services.notifier.introductions import CheckedIn, Joined, OfferedToOpen, TimePassed, Withdrawn, next_due_ms
from shared.contracts import ChoiceKind, ClosingReason, EmailKind, IntroductionState, Meeting

MET, NOT_MET, AGAIN, NOT_AGAIN = ChoiceKind.MET, ChoiceKind.NOT_MET, ChoiceKind.AGAIN, ChoiceKind.NOT_AGAIN
A, B = PAIR.members


def meeting(story: Story) -> Meeting:
    assert story.introduction.meeting is not None
    return story.introduction.meeting


def told(story: Story, kind: EmailKind) -> list[str]:
    """To whom the last thing that happened set off an email of this kind."""
    return [email.member for email in story.last.emails if email.kind is kind]


def test_a_date_is_on_their_evening_with_notice_and_they_are_asked_after_it() -> None:
    story = Story(PAIR).come_together()
    date = meeting(story)
    assert (date.occasion, date.number, date.attempt, date.invited) == (1, 1, 1, PAIR.members)
    assert date.starts_at_ms >= NOW + LONDON.meetings.notice_seconds * 1000
    assert date.ends_at_ms - date.starts_at_ms == 90 * 60_000
    assert next_due_ms(story.introduction) == date.ends_at_ms + LONDON.meetings.check_in_after_seconds * 1000
    story.wait()
    assert told(story, EmailKind.CHECK_IN) == list(PAIR.members)
    assert next_due_ms(story.introduction) == story.now_ms + CHECK_IN_MS


def test_in_a_rehearsal_a_date_is_over_at_once_whatever_the_calendar_says() -> None:
    quick = LONDON.model_copy(update={"meetings": LONDON.meetings.model_copy(update={"over_after_seconds": 4})})
    from services.notifier.introductions import Answered, Proposed, advance  # beside the rest, this one test needs them

    introduction = advance(None, Proposed(PAIR), community=quick, now_ms=NOW).introduction
    for member in PAIR.members:
        introduction = advance(introduction, Answered(member, ChoiceKind.YES), community=quick, now_ms=NOW).introduction
    assert next_due_ms(introduction) == NOW + 4000
    assert introduction.meeting is not None
    assert introduction.meeting.starts_at_ms > NOW + 3600_000


def test_again_from_everybody_comes_early_and_from_one_of_two_never() -> None:
    story = Story(PAIR).come_together().check_in(AGAIN, A)
    assert meeting(story).number == 1
    story.tell(CheckedIn(B, 1, AGAIN))
    assert (meeting(story).occasion, meeting(story).number) == (2, 2)
    assert told(story, EmailKind.AGAIN) == list(PAIR.members)

    alone = Story(PAIR).come_together().check_in(AGAIN, A).tell(CheckedIn(B, 1, MET), CheckedIn(B, 1, NOT_AGAIN))
    assert alone.last.emails == ()
    alone.wait()
    assert alone.introduction.closing_reason is ClosingReason.SETTLED
    assert told(alone, EmailKind.PARTING) == [A], "who hoped hears a word, who did not hears none"


def test_a_group_goes_on_with_a_quorum_when_the_time_is_up_and_not_before() -> None:
    three, fourth = GROUP.members[:3], GROUP.members[3]
    story = Story(GROUP).come_together().check_in(AGAIN, *three).tell(CheckedIn(fourth, 1, NOT_AGAIN))
    assert meeting(story).number == 1
    story.wait()
    assert story.introduction.present == three
    assert story.introduction.left == (fourth,)
    assert told(story, EmailKind.AGAIN) == list(three)
    assert not story.introduction.engages(fourth)


def test_all_who_remain_wanting_more_is_not_early_when_somebody_has_left() -> None:
    three, fourth = GROUP.members[:3], GROUP.members[3]
    story = Story(GROUP).come_together().tell(Withdrawn(fourth)).check_in(AGAIN, *three)
    assert meeting(story).number == 1, "going on now would tell when the fourth had left"
    assert told(story.wait(), EmailKind.AGAIN) == list(three)


def test_who_did_not_meet_gets_one_new_date_and_no_third() -> None:
    story = Story(PAIR).come_together().check_in(NOT_MET)
    second = meeting(story)
    assert (second.occasion, second.number, second.attempt) == (2, 1, 2)
    assert told(story, EmailKind.NEW_DATE) == list(PAIR.members)
    story.check_in(NOT_MET)
    assert story.introduction.closing_reason is ClosingReason.SETTLED
    assert told(story, EmailKind.PARTING) == list(PAIR.members)


@pytest.mark.parametrize(
    ("said", "took_place", "did_not"),
    [((MET, MET), True, False), ((MET, NOT_MET), True, False), ((NOT_MET, NOT_MET), False, True), ((), False, False)],
)
def test_whether_they_met_is_what_more_of_them_say(
    said: tuple[ChoiceKind, ...], took_place: bool, did_not: bool
) -> None:
    story = Story(PAIR).come_together().wait()
    date = meeting(story)
    for member, kind in zip(PAIR.members, said, strict=False):
        field = "met" if kind is MET else "not_met"
        date = date.model_copy(update={field: (*getattr(date, field), member)})
    assert (date.took_place, date.did_not_take_place) == (took_place, did_not)


def test_silence_ends_it_without_a_word() -> None:
    story = Story(GROUP).come_together().wait().wait()
    assert story.introduction.state is IntroductionState.CLOSED
    assert story.last.emails == ()


def test_a_mind_may_change_and_another_dates_answers_do_not_count() -> None:
    story = Story(PAIR).come_together().check_in(NOT_AGAIN, A).tell(CheckedIn(A, 1, AGAIN))
    assert (meeting(story).again, meeting(story).not_again) == ((A,), ())
    before = story.introduction
    assert story.tell(CheckedIn(B, 2, AGAIN)).introduction is before
    assert story.tell(CheckedIn("m_stranger", 1, AGAIN)).introduction is before


def test_after_three_meetings_the_date_comes_back() -> None:
    story = Story(GROUP).stand()
    standing = story.introduction
    assert standing.state is IntroductionState.STANDING
    assert told(story, EmailKind.STANDING) == list(GROUP.members)
    assert standing.seats == 4
    assert not standing.wants_newcomer
    assert standing.settles_at_ms == story.now_ms + SETTLE_MS == next_due_ms(standing)
    assert all(standing.engages(member) for member in GROUP.members)
    story.wait()
    assert next_due_ms(story.introduction) is None
    assert not any(story.introduction.engages(member) for member in GROUP.members)
    assert story.introduction.is_open


def test_the_first_of_the_recurring_dates_keeps_the_rhythm() -> None:
    story = Story(PAIR).come_together().check_in(AGAIN).check_in(AGAIN)
    last = meeting(story)
    story.check_in(AGAIN)
    weeks_ms = LONDON.meetings.standing_every_weeks * 7 * 86_400_000
    assert abs(meeting(story).starts_at_ms - (last.starts_at_ms + weeks_ms)) <= 3600_000, "but for a clock change"


def test_a_leaver_leaves_a_seat_and_the_last_two_end_it() -> None:
    story = Story(GROUP).stand().tell(Withdrawn(LEAVER))
    assert story.last.emails == ()
    assert story.introduction.wants_newcomer
    assert story.introduction.seat_from_ms == story.now_ms
    story.tell(Joined(NEWCOMER))
    assert told(story, EmailKind.WELCOME) == [NEWCOMER]
    assert told(story, EmailKind.NEWCOMER) == [member for member in GROUP.members if member != LEAVER]
    assert not story.introduction.wants_newcomer
    assert story.introduction.seat_from_ms is None
    full = story.introduction
    assert story.tell(Joined("m_another")).introduction is full, "there is one seat only"

    pair = Story(PAIR).stand().tell(Withdrawn(A))
    assert pair.introduction.state is IntroductionState.CLOSED
    assert told(pair, EmailKind.PARTING) == [B]


def test_leaving_takes_nothing_back_and_tells_nobody() -> None:
    story = Story(PAIR).come_together()
    due = next_due_ms(story.introduction)
    story.tell(Withdrawn(A))
    assert story.introduction.introduced == PAIR.members
    assert story.last.emails == ()
    assert next_due_ms(story.introduction) == due, "not even by when the other hears of us next"
    story.tell(Withdrawn(B))
    assert story.introduction.state is IntroductionState.CLOSED, "there is nobody left to tell anything"


def test_the_opener_is_who_was_asked_or_who_offered_and_the_role_moves_once() -> None:
    story = Story(GROUP).come_together()
    first, second, third = GROUP.members[:3]
    assert story.introduction.opener == GROUP.opener == first
    story.tell(OfferedToOpen(second))
    assert story.introduction.opener == second
    assert told(story, EmailKind.GO_FIRST) == [second]
    assert told(story, EmailKind.RELIEVED) == [first]
    moved = story.introduction
    for other in (first, second, third, "m_stranger"):
        assert story.tell(OfferedToOpen(other)).introduction is moved


def test_nobody_is_relieved_where_nobody_was_asked_and_after_the_date_it_is_too_late() -> None:
    without = GROUP.model_copy(update={"opener": None})
    story = Story(without).come_together().tell(OfferedToOpen(GROUP.members[1]))
    assert [email.kind for email in story.last.emails] == [EmailKind.GO_FIRST]
    late = Story(GROUP).come_together().wait().tell(OfferedToOpen(GROUP.members[1]))
    assert late.introduction.opener == GROUP.opener


answers = st.tuples(st.sampled_from(GROUP.members), st.sampled_from([MET, NOT_MET, AGAIN, NOT_AGAIN]))


@given(said=st.lists(answers, max_size=12), order=st.randoms(use_true_random=False))
def test_the_order_of_taps_leaves_no_trace(said: list[tuple[str, ChoiceKind]], order: object) -> None:
    last = {(member, kind.question): (member, kind) for member, kind in said}
    some, other = list(last.values()), list(last.values())
    order.shuffle(other)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random

    def outcome(taps: list[tuple[str, ChoiceKind]]) -> tuple[object, ...]:
        story = Story(GROUP).come_together().wait()
        story.tell(*(CheckedIn(member, 1, kind) for member, kind in taps))
        story.now_ms += CHECK_IN_MS
        story.tell(TimePassed())
        return story.introduction.model_copy(update={"revision": 0}), story.introduction.present

    # Everybody wanting more comes early: then what is said after it does not count.
    if {member for member, kind in some if kind is AGAIN} != set(GROUP.members):
        assert outcome(some) == outcome(other)
