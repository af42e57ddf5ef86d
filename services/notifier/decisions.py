"""What pressing a button means: the record that it becomes, and the page that comes next.

Pure. The link says who presses and what it is about; the fields of the form say which of
several things they chose. What is missing or makes no sense records nothing, and the same
page comes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.notifier.links import Link, LinkPurpose
from shared.community import Community
from shared.contracts import Choice, ChoiceKind, Preference, PreferenceKind

PAUSE_DAYS_MAX = 730
_DAY_MS = 24 * 3600 * 1000

Fields = Mapping[str, tuple[str, ...]]
"""The fields of a form, each with its values."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be recorded, if anything, and the name of the page that follows."""

    record: Choice | Preference | None
    page: str


def page_of(purpose: LinkPurpose) -> str:
    """The page that a link leads to: it says what its button does, and does nothing."""
    return "check-in-met" if purpose is LinkPurpose.CHECK_IN else purpose.name.lower().replace("_", "-")


def decide(
    link: Link, fields: Fields, community: Community, now_ms: int, *, people: Mapping[str, str] | None = None
) -> Decision:
    """What a POST to a link means. `people` are those who can be blocked: member ids by what stands in the form."""
    thanks = f"{page_of(link.purpose)}-thanks"
    match link.purpose:
        case LinkPurpose.YES | LinkPurpose.NO:
            kind = ChoiceKind.YES if link.purpose is LinkPurpose.YES else ChoiceKind.NO
            return Decision(_choice(link, kind, now_ms), thanks)
        case LinkPurpose.CHECK_IN:
            return _check_in(link, fields, now_ms)
        case LinkPurpose.OPEN:
            return Decision(_choice(link, ChoiceKind.OPENS, now_ms), thanks)
        case LinkPurpose.LEAVE:
            return Decision(_choice(link, ChoiceKind.LEAVES, now_ms), thanks)
        case LinkPurpose.PAUSE:
            until_ms = pause_end_ms(fields, community, now_ms)
            ended = "" if until_ms > now_ms else "-over"
            return Decision(_preference(link, PreferenceKind.PAUSE, now_ms, until_ms=until_ms), thanks + ended)
        case LinkPurpose.UNSUBSCRIBE:
            return Decision(_preference(link, PreferenceKind.UNSUBSCRIBE, now_ms), thanks)
        case LinkPurpose.ERASE:
            return Decision(_preference(link, PreferenceKind.ERASE, now_ms), thanks)
        case LinkPurpose.LOOK_FOR:
            wanted = tuple(kind for kind in ("friend", "group") if kind in fields.get("look_for", ()))
            if not wanted:
                return Decision(None, page_of(link.purpose))
            return Decision(_preference(link, PreferenceKind.LOOKING_FOR, now_ms, looking_for=wanted), thanks)
        case LinkPurpose.BLOCK:
            about = (people or {}).get(_one(fields, "person"))
            if about is None:
                return Decision(None, page_of(link.purpose))
            kind_of = PreferenceKind.REPORT if _one(fields, "action") == "report" else PreferenceKind.BLOCK
            return Decision(_preference(link, kind_of, now_ms, about=about), f"{kind_of}-thanks")
        case LinkPurpose.SETTINGS | LinkPurpose.DATA:
            return Decision(None, page_of(link.purpose))


def pause_end_ms(fields: Fields, community: Community, now_ms: int) -> int:
    """The end of a pause: the morning of the date in the form, or as long as the community's pauses are.

    A date that is over ends the pause; one that lies years ahead is cut to two years.
    """
    try:
        day = date.fromisoformat(_one(fields, "until"))
        local = datetime.combine(min(day, _in_two_years(now_ms)), time(6), ZoneInfo(community.time_zone))
    except (ValueError, OverflowError):
        return now_ms + community.pause_seconds * 1000
    return max(now_ms, round(local.timestamp() * 1000))


def _in_two_years(now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, UTC).date() + timedelta(days=PAUSE_DAYS_MAX)


_AFTER = {
    ChoiceKind.MET: "check-in-again",
    ChoiceKind.NOT_MET: "check-in-not-met-thanks",
    ChoiceKind.AGAIN: "check-in-depth",
    ChoiceKind.NOT_AGAIN: "check-in-depth",
    ChoiceKind.DEEPER: "check-in-thanks",
    ChoiceKind.SHALLOW: "check-in-thanks",
}
CHECK_IN_PAGES = ("check-in-met", *dict.fromkeys(_AFTER.values()))


def _check_in(link: Link, fields: Fields, now_ms: int) -> Decision:
    """Three questions, a tap each; every tap is recorded by itself, so that stopping half-way loses nothing."""
    try:
        kind = ChoiceKind(_one(fields, "answer"))
        page = _AFTER[kind]
    except (ValueError, KeyError):
        return Decision(None, page_of(link.purpose))
    return Decision(_choice(link, kind, now_ms, occasion=link.occasion), page)


def _one(fields: Fields, name: str) -> str:
    return fields.get(name, ("",))[0]


def _choice(link: Link, kind: ChoiceKind, now_ms: int, *, occasion: int = 0) -> Choice:
    return Choice(
        community=link.community,
        member=link.member,
        introduction=link.introduction,
        kind=kind,
        chosen_at_ms=now_ms,
        occasion=occasion,
    )


def _preference(link: Link, kind: PreferenceKind, now_ms: int, **more: object) -> Preference:
    return Preference.model_validate(
        {"community": link.community, "member": link.member, "kind": kind, "chosen_at_ms": now_ms, **more}
    )
