"""Groups: how members are dealt into them, and which groups come of a round."""

from services.matcher.grouping.diversity import PartitionError, partition
from services.matcher.grouping.forming import group
from services.matcher.grouping.people import Group
from services.matcher.grouping.seating import seat_those_left

__all__ = ["Group", "PartitionError", "group", "partition", "seat_those_left"]
