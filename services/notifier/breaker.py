"""When a mail server says that it does not want mail from us, we stop, and somebody is told.

A reply of 5.7.x (policy: not authorised, no DMARC, a block list) or a refused login is not
the recipient's fault, and sending on makes it worse: reputation is lost by the hour. So
the circuit to that domain opens, or to everybody when it is our own account that is
refused or too many domains say the same. After a while one email goes as a probe; if
it is taken the circuit closes, if not it stays open, twice as long each time.

Pure: the present is an argument. Held in memory, for each instance: after a restart the first email is the probe.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """How much a refusal by policy concerns."""

    DOMAIN = "domain"
    """The recipient's domain."""
    EVERYTHING = "everything"
    """Us: our account, our sender, our address on the network."""


@dataclass(frozen=True, slots=True)
class BreakerBounds:
    """How long a circuit is open, in milliseconds, and when domains become everything."""

    open_first_ms: int = 15 * 60 * 1000
    open_max_ms: int = 6 * 60 * 60 * 1000
    domains_max: int = 5
    """When so many domains refuse us at once, it is us."""
    probe_ms: int = 60_000
    """A probe that has told nothing for so long is given up, and another may go."""


@dataclass(slots=True)
class _Circuit:
    opened_at_ms: int
    until_ms: int
    open_ms: int
    probing_until_ms: int = 0


_ALL = ""


class PolicyBreaker:
    """The circuits of one instance. All operations are O(1), but for `refused`: O(open circuits)."""

    def __init__(self, bounds: BreakerBounds | None = None) -> None:
        self._bounds = bounds or BreakerBounds()
        self._open: dict[str, _Circuit] = {}

    def held_until_ms(self, domain: str, now_ms: int) -> int | None:
        """None if an email to `domain` may go; otherwise when to ask again. Changes nothing: see `probe`."""
        waits = [
            max(circuit.until_ms, circuit.probing_until_ms)
            for name in (_ALL, domain)
            if (circuit := self._open.get(name)) is not None
        ]
        until_ms = max(waits, default=0)
        return until_ms if until_ms > now_ms else None

    def probe(self, domain: str, now_ms: int) -> bool:
        """An email to `domain` goes now. True if it is a probe, since a circuit is open: others wait for its end."""
        circuits = [circuit for name in (_ALL, domain) if (circuit := self._open.get(name)) is not None]
        for circuit in circuits:
            circuit.probing_until_ms = now_ms + self._bounds.probe_ms
        return bool(circuits)

    def refused(self, domain: str, scope: Scope, now_ms: int) -> bool:
        """A refusal by policy; True if it has opened a circuit that was closed: then somebody should be told."""
        names = {domain} if scope is Scope.DOMAIN else {_ALL}
        if scope is Scope.DOMAIN and len(self._open.keys() | names) - (_ALL in self._open) >= self._bounds.domains_max:
            names.add(_ALL)
        opened = False
        for name in names:
            circuit = self._open.get(name)
            if circuit is None:
                first_ms = self._bounds.open_first_ms
                self._open[name] = _Circuit(now_ms, now_ms + first_ms, first_ms)
                opened = True
            elif circuit.until_ms <= now_ms:  # The probe failed. What was on its way when it opened says nothing new.
                circuit.open_ms = min(circuit.open_ms * 2, self._bounds.open_max_ms)
                circuit.until_ms = now_ms + circuit.open_ms
                circuit.probing_until_ms = 0
        return opened

    def taken(self, domain: str, sent_at_ms: int) -> bool:
        """The server took an email that had set out at `sent_at_ms`; True if that closes a circuit."""
        closed = False
        for name in (_ALL, domain):
            circuit = self._open.get(name)
            if circuit is not None and sent_at_ms >= circuit.until_ms:
                del self._open[name]
                closed = True
        return closed

    def told_nothing(self, domain: str) -> None:
        """The probe said nothing about policy, good or bad: another may go at once."""
        for name in (_ALL, domain):
            circuit = self._open.get(name)
            if circuit is not None:
                circuit.probing_until_ms = 0

    def open_circuits(self) -> dict[Scope, int]:
        """How many are open, by what they concern."""
        everything = int(_ALL in self._open)
        return {Scope.EVERYTHING: everything, Scope.DOMAIN: len(self._open) - everything}
