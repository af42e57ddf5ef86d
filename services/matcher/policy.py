"""The matching policy: every weight and bound of a round, with its unit in its name."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

WEIGHT_ONE = 1_000_000
"""The integer weight of a score of 1: sums of weights are exact."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Policy(BaseModel):
    """What a round is steered by, beside the community's own file.

    The score's weights are hypotheses: they are recorded with every suggestion, so
    that what becomes of suggestions can be compared by them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    interests_weight: Share = 0.5
    openness_weight: Share = 0.3
    practical_weight: Share = 0.2
    waiting_gain_per_round: Share = 0.02
    """What a member's score gains by each round they waited in vain."""
    waiting_rounds_counted_max: Annotated[int, Field(ge=0, le=25)] = 25
    """Rounds beyond this many gain nothing more: keeps the weight of an edge within 32 bits."""

    goes_first_min: Annotated[int, Field(ge=1, le=5)] = 4
    """Who rates "I am happy to go first" so high is an opener."""
    opener_load_max: Count = 3
    """Who opened so often lately is not asked again for now, so that nobody is worn out."""
    opener_load_in_pairs_max: Count = 2
    """The same for pairs, if it is less: a pair can do without an opener, a group should not."""

    candidates_per_member: Count = 12
    scanned_members_max: Count = 2_000
    """A member with at most so many others in reach looks at all of them; beyond it, at an index of interests."""
    postings_read_max: Count = 1_200
    """How many entries of that index are read for one member: finds .99 of the best among a million in
    one city, and more among fewer."""
    nearest_read_max: Count = 500
    """How many of the nearest members are read for one who need not share an interest."""

    exact_component_members_max: Annotated[int, Field(ge=0)] = 2_000
    """Connected parts of the graph up to this size are paired exactly: about a second at this size."""
    improvement_rounds_max: Annotated[int, Field(ge=0)] = 8
    """Passes of local improvement over the parts that are paired greedily."""
    second_looks_max: Annotated[int, Field(ge=0)] = 3
    """How often those whose candidates were all taken by others look at each other, while that pairs anybody."""

    group_worth_percent: Annotated[int, Field(ge=0)] = 80
    """A member who looks for both goes to a group that is worth at least this share of their best pair."""
    group_pool_members_max: Count = 12
    """With how many holders of an interest, the nearest first, a group is tried."""
    group_postings_read_max: Count = 128
    group_anchors_tried_max: Count = 6

    arrival_worth_percent: Annotated[int, Field(ge=0)] = 90
    """A newcomer is suggested to somebody at once only if that is worth at least this share of the best that anybody,
    free or not, would be; otherwise they wait for the round."""
    arrival_candidates_min: Count = 12
    """Who has fewer people to be measured by than this waits for the round."""

    threads: Count = 2
    """For the candidates of large communities. Does not change the answer."""

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if self.interests_weight + self.openness_weight + self.practical_weight <= 0:
            raise ValueError("one of interests_weight, openness_weight and practical_weight must be above 0")
        return self

    @property
    def opener_load_of_pairs_max(self) -> int:
        """Who opened so often lately is not asked to in a pair."""
        return min(self.opener_load_max, self.opener_load_in_pairs_max)

    @property
    def recorded_weights(self) -> dict[str, float]:
        """What stands in a suggestion's `weights`."""
        return {
            "interests": self.interests_weight,
            "openness": self.openness_weight,
            "practical": self.practical_weight,
            "waiting_per_round": self.waiting_gain_per_round,
        }
