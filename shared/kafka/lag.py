"""How far behind a consumer is, from what it knows itself, without asking the broker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def group_lags(consumer: Any) -> Iterable[tuple[str, int, int]]:
    """(topic, partition, records not handed out yet) for each partition assigned to an aiokafka consumer.

    Nothing is yielded for a partition of which the consumer has not fetched yet.
    """
    if consumer is None:
        return
    for place in consumer.assignment():
        end = consumer.highwater(place)
        state = consumer._subscription.subscription.assignment.state_value(place)
        if end is not None and state is not None and state.has_valid_position:
            yield place.topic, place.partition, max(0, end - state.position)
