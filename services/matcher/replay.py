"""What a round depends on, put on record with every suggestion, so that any round can be run again.

The runner and whoever runs a round again go through `run`, with a reference that holds
all that the round depends on: there is no second way that could come to differ.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from services.matcher.arrivals import ENGINE as ARRIVAL_ENGINE
from services.matcher.policy import Policy
from services.matcher.round import ENGINE, Round, check, propose
from services.matcher.seats import suggest_newcomers
from services.matcher.snapshot import Snapshot
from services.matcher.state import RoundInput
from shared.community import Community
from shared.contracts import RoundReference, Suggestion
from shared.ids import round_id

_DIGEST_BYTES = 16
_NOT_FOR_MATCHING = {
    "community", "name", "country", "partners", "answer_within_seconds", "settle_seconds", "pause_seconds",
    "sender", "sender_name", "agreement", "meetings", "remind_after_seconds",
}  # fmt: skip
"""What a round does not read in a community's file."""


class ReplayError(ValueError):
    """A round that cannot be run again: says why."""


@dataclass(frozen=True)
class Comparison:
    """What a round suggested then, beside what it suggests when it is run again. Ids of suggestions."""

    same: tuple[str, ...]
    """The same to the last byte."""
    different: Mapping[str, tuple[str, ...]]
    """Of the same people both times; by suggestion, the fields that differ."""
    only_then: tuple[str, ...]
    only_now: tuple[str, ...]
    dropped: tuple[str, ...]
    """Found then too, and dropped before it was committed: one of its members had gone in the meantime."""

    @property
    def is_same(self) -> bool:
        return not (self.different or self.only_then or self.only_now)


def reference_for(
    community: Community,
    policy: Policy,
    *,
    offsets: Mapping[str, int],
    seed: int,
    now_ms: int,
    waiting_round_seconds: float,
    opener_window_ms: int,
    engine: str = ENGINE,
) -> RoundReference:
    """All that a round is about to depend on, but for its snapshot's digest."""
    return RoundReference(
        round=round_id(community.community, offsets.items(), seed),
        seed=seed,
        engine=engine,
        offsets=dict(offsets),
        now_ms=now_ms,
        waiting_round_seconds=waiting_round_seconds,
        opener_window_ms=opener_window_ms,
        policy=policy.model_dump(mode="json", exclude_defaults=True),
        policy_digest=_digest_of_policy(policy),
        community=community.model_dump(mode="json", exclude=_NOT_FOR_MATCHING, exclude_defaults=True),
    )


def snapshot_for(
    community: Community, seen: RoundInput, reference: RoundReference, *, without: Collection[str | None] = ()
) -> Snapshot:
    """The snapshot of a round, from what its state holds and what is on record; `without` those who have a seat."""
    return Snapshot.of(
        community,
        [profile for profile in seen.profiles if profile.member not in without] if without else seen.profiles,
        now_ms=reference.now_ms,
        waited_rounds=_waited_rounds(seen, reference),
        history=seen.times_together,
        opener_load=seen.opener_load,
        blocked=seen.blocked,
    )


def _waited_rounds(seen: RoundInput, reference: RoundReference) -> dict[str, int]:
    round_ms = reference.waiting_round_seconds * 1000
    return {
        member: int(max(0, reference.now_ms - since_ms) // round_ms)
        for member, since_ms in seen.waiting_since_ms.items()
    }


def run(
    community: Community, seen: RoundInput, policy: Policy, reference: RoundReference
) -> tuple[Round, tuple[Suggestion, ...]]:
    """Run a round: pure, and the costly part. Raises `RoundInvariantError` for what must not be committed.

    Each suggestion carries the reference, with the digest of what the round saw.
    """
    snapshot = snapshot_for(community, seen, reference)
    reference = reference.model_copy(update={"snapshot": digest_of(snapshot)})
    # Seats first: a group that has one waits for somebody, and there are few of them.
    seated = suggest_newcomers(
        seen.seats,
        seen.profiles,
        community,
        policy,
        now_ms=reference.now_ms,
        waited_rounds=_waited_rounds(seen, reference) if seen.seats else {},
        history=seen.times_together,
        blocked=seen.blocked,
        reference=reference,
    )
    if seated:
        snapshot = snapshot_for(community, seen, reference, without={suggestion.newcomer for suggestion in seated})
    proposed = propose(snapshot, policy, seed=reference.seed)
    suggestions = proposed.suggestions(community, now_ms=reference.now_ms, reference=reference)
    check(suggestions, snapshot, policy)
    return proposed, seated + suggestions


class _State(Protocol):
    def round_input(self, community: str, now_ms: int, *, opener_window_ms: int) -> RoundInput: ...


def run_again(state: _State, community: Community, reference: RoundReference) -> tuple[Round, tuple[Suggestion, ...]]:
    """Run a round again, from a state that was folded up to its offsets.

    Raises
    ------
    ReplayError
        if not all that the round depended on is on record, if it was another engine or another
        policy, or if the state is not what the round saw, since the topics have been compacted.
    """
    policy = policy_of(reference)
    then = community_of(community, reference)
    seen = state.round_input(community.community, reference.now_ms, opener_window_ms=reference.opener_window_ms)
    found = digest_of(snapshot_for(then, seen, reference))
    if found != reference.snapshot:
        raise ReplayError(
            f"round {reference.round} saw what the topics do not hold any more: profiles that have been updated or "
            f"erased since, and compacted, or suggestions past their retention (snapshot {reference.snapshot}, "
            f"and now {found}). It cannot be run again"
        )
    return run(then, seen, policy, reference)


def policy_of(reference: RoundReference) -> Policy:
    """The policy that a round was run with. Raises `ReplayError` if this engine cannot run that round."""
    if not reference.can_be_run_again:
        raise ReplayError(
            f"round {reference.round} was run by an engine that did not put on record all it depended on; "
            "it cannot be run again"
        )
    if reference.engine == ARRIVAL_ENGINE:
        raise ReplayError(
            f"{reference.round} is no round: a newcomer was suggested to somebody as soon as they came. Whom they were "
            "chosen from is an index that had grown since it was built, and is not on record, so it cannot be run again"
        )
    if reference.engine != ENGINE:
        raise ReplayError(
            f"round {reference.round} was run by engine {reference.engine}, and this is {ENGINE}: "
            "run it again with the release that ran it"
        )
    policy = Policy.model_validate(reference.policy)
    if _digest_of_policy(policy) != reference.policy_digest:
        raise ReplayError(
            f"the defaults of the matching policy have changed since round {reference.round}: "
            "run it again with the release that ran it"
        )
    return policy


def community_of(community: Community, reference: RoundReference) -> Community:
    """The community as its file was when a round was run."""
    kept = community.model_dump(include=_NOT_FOR_MATCHING)
    return Community.model_validate(kept | reference.community)


def compare(then: Mapping[str, bytes], now: Iterable[Suggestion], gone: Iterable[str]) -> Comparison:
    """Compare what stands on the topic, by suggestion, with what a round gives when it is run again.

    `gone` are the members who had left, paused or gone otherwise by the time the round was committed.
    """
    new = {each.suggestion: each for each in now}
    away = set(gone)
    both = sorted(then.keys() & new.keys())
    same = tuple(key for key in both if then[key] == new[key].to_bytes())
    only_now = sorted(new.keys() - then.keys())
    return Comparison(
        same=same,
        different={key: _fields_that_differ(then[key], new[key]) for key in both if key not in set(same)},
        only_then=tuple(sorted(then.keys() - new.keys())),
        only_now=tuple(key for key in only_now if away.isdisjoint(new[key].members)),
        dropped=tuple(key for key in only_now if not away.isdisjoint(new[key].members)),
    )


def digest_of(snapshot: Snapshot) -> str:
    """128 bits over all that a snapshot holds: equal for equal snapshots, whatever machine made them."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in fields(snapshot):
        digest.update(f"\x1e{part.name}\x1f".encode())
        _feed(digest, getattr(snapshot, part.name))
    return digest.hexdigest()


def _feed(digest: blake2b, value: Any) -> None:
    if isinstance(value, np.ndarray):
        # A record has gaps between its fields, whose bytes mean nothing.
        for column in [value[name] for name in value.dtype.names] if value.dtype.names else [value]:
            digest.update(f"{column.dtype.str}{column.shape}".encode())
            digest.update(np.ascontiguousarray(column).tobytes())
    elif isinstance(value, Community):
        digest.update(value.model_dump_json(exclude=_NOT_FOR_MATCHING, exclude_defaults=True).encode())
    elif isinstance(value, Mapping):
        digest.update("\x1d".join(sorted(f"{key!r}={value[key]!r}" for key in value)).encode())
    elif isinstance(value, tuple) and value and not isinstance(value[0], str):
        for item in value:
            digest.update(b"\x1c")
            _feed(digest, item)
    elif isinstance(value, tuple):
        digest.update("\x1f".join(f"{len(word)}:{word}" for word in value).encode())
    else:
        digest.update(repr(value).encode())


def _digest_of_policy(policy: Policy) -> str:
    everything = json.dumps(policy.model_dump(mode="json"), sort_keys=True)
    return blake2b(everything.encode(), digest_size=8).hexdigest()


def _fields_that_differ(then: bytes, now: Suggestion) -> tuple[str, ...]:
    old, new = json.loads(then), json.loads(now.to_bytes())
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))
