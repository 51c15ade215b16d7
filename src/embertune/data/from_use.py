"""Data sets from what people did: clicks of a search log, thumbs of a chat. `Dataset` has these as class methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embertune.data.dataset import Dataset
    from embertune.data.log_config import LogConfig

__all__ = ["FromUse"]


class FromUse:
    """The class methods of `Dataset` that learn from use.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> Dataset.from_feedback([("how old is it?", "Built in 1900.", "👍")]).qrels
        {'q1': {'d1': 1.0}}
    """

    @classmethod
    def from_logs(
        cls,
        log: Any,
        corpus: Any = None,
        *,
        columns: Mapping[str, str] | None = None,
        config: LogConfig | None = None,
        name: str = "log",
    ) -> Dataset:
        """Make a data set of a search log: graded pairs, corrected for where documents stood.

        A click counts by how likely its rank is looked at: a document that is clicked as often at rank 4 as another at
        rank 1 is the better one. What was looked at often and hardly clicked is judged not relevant (grade 0). A click
        after the question was asked again in other words also credits the first words. What was merged, dropped and
        assumed is told in `notes`.

        Args:
            log: A CSV, TSV, JSONL or Parquet file, a DataFrame, dictionaries, or tuples (query, shown documents,
                clicked document, rank, time, session) of which all after the third may be left out. A row for each
                result or each click is read as well.
            corpus: Where the log names documents by id: id -> text, a data set, a BEIR folder, a table of ids and
                texts. None where it holds the texts.
            columns: Role -> column where a name is not recognised: ``{"query": "suchwort"}``. Roles are query, shown,
                clicked, document, rank, time, session, user, search and dwell.
            config: Propensities, support, sessions, robots; None takes the defaults.
            name: What reports call it.

        Raises:
            DataError: The log cannot be read, or no pair has enough clicks.
            ConfigError: A setting is impossible.

        Example:
            >>> from embertune.data.dataset import Dataset
            >>> from embertune.data.log_config import LogConfig
            >>> shown = ["sandals", "hats", "red sneakers"]
            >>> log = [("red shoes", shown, "sandals")] * 4 + [("red shoes", shown, "red sneakers")] * 4
            >>> Dataset.from_logs(log, config=LogConfig(propensities=[1, 0.6, 0.5])).qrels
            {'q1': {'d1': 0.5, 'd3': 1.0}}
        """
        from embertune.data.logs import dataset_of_log

        return dataset_of_log(log, corpus, columns=columns, config=config, name=name)

    @classmethod
    def from_feedback(
        cls,
        feedback: Any,
        corpus: Any = None,
        *,
        columns: Mapping[str, str] | None = None,
        min_votes: float = 0.0,
        name: str = "feedback",
    ) -> Dataset:
        """Make a data set of thumbs up and down on the answers of a chat.

        The grade of a passage is its share of ups. A thumb is shared among the passages of its answer; downs alone
        make a passage not relevant (grade 0) once they add up to a whole thumb. Of one user's thumbs on the same answer
        the last counts.

        Args:
            feedback: A CSV, TSV, JSONL or Parquet file, a DataFrame, dictionaries, or tuples (query, passages, thumb,
                time, user) of which the last two may be left out. Thumbs are 1 or 0, up or down, 👍 or 👎.
            corpus: Where passages are named by id: as in `from_logs`.
            columns: Role -> column where a name is not recognised; roles are query, passages, vote, time and user.
            min_votes: Pairs with fewer thumbs are dropped.
            name: What reports call it.

        Raises:
            DataError: The rows cannot be read, or no passage has more ups than downs.
            ConfigError: `min_votes` is negative.

        Example:
            >>> from embertune.data.dataset import Dataset
            >>> Dataset.from_feedback([("how old?", "Built in 1900.", "up"), ("how old?", "80 m high", "down")]).qrels
            {'q1': {'d1': 1.0, 'd2': 0.0}}
        """
        from embertune.data.feedback import dataset_of_feedback

        return dataset_of_feedback(feedback, corpus, columns=columns, min_votes=min_votes, name=name)
