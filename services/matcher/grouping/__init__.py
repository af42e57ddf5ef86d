"""Groups: how members are dealt into them, and which groups come of a round."""

from services.matcher.grouping.diversity import PartitionError, partition
from services.matcher.grouping.forming import Group, group, seat_those_left

__all__ = ["Group", "PartitionError", "group", "partition", "seat_those_left"]
