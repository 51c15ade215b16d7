"""Everything that stands against each other when the test is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from embertune.adapters.base import Adapter
from embertune.encoders.cost import Cost
from embertune.encoders.encoded import Encoded
from embertune.recipes.foreign import Mixed
from embertune.recipes.plan import Trial
from embertune.training.selection import Choice

__all__ = ["Contest"]


class Contest(NamedTuple):
    """What stands against the frozen encoder, and on which vectors.

    Attributes:
        trials: Who was fitted on, who is judged.
        choices: What was chosen, per trial.
        served: What would be saved; in folds it is fitted on all of them.
        encoded: The vectors of the data set.
        foreign: Queries that the adapter is not for, where there are any; `served` is judged on them.
    """

    trials: Sequence[Trial]
    choices: Sequence[Choice]
    served: Adapter
    encoded: Encoded
    foreign: Mixed | None = None

    @property
    def seconds(self) -> float:
        """How long embedding both took."""
        return self.encoded.seconds + (self.foreign.seconds if self.foreign else 0.0)

    @property
    def cost(self) -> Cost | None:
        """What was paid for embedding both; None for encoders that cost no money."""
        theirs = self.foreign.cost if self.foreign else None
        return self.encoded.cost + theirs if self.encoded.cost and theirs else self.encoded.cost or theirs
