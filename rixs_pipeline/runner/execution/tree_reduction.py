"""Combine results in a tree whose shape depends on their number alone.

So the last bit of a sum does not depend on the scheduler.
"""

from collections.abc import Callable
from typing import Any

from rixs_pipeline.stages.chunks import FAN_IN
from rixs_pipeline.types import Outcome


class TreeReduction:
    """The results of a group of tasks, joined as they arrive.

    Attributes
    ----------
    error : Exception or None
        The first failure of a task; the group then has no result.
    """

    def __init__(self, tasks: int, join: Callable[[list[Any]], Any]) -> None:
        """Begin.

        Parameters
        ----------
        tasks : int
            How many results will come.
        join : callable
            Joins a list of at most `FAN_IN` results.
        """
        self.join = join
        self.level_sizes = [tasks]
        while self.level_sizes[-1] > 1:
            self.level_sizes.append(-(-self.level_sizes[-1] // FAN_IN))
        self.root = len(self.level_sizes) - 1, 0
        self.nodes: dict[tuple[int, int], Any] = {}
        self.error: Exception | None = None
        if not tasks:
            self.error = ValueError("a group without tasks has no result")

    def put(self, index: int, value: Any, level: int = 0) -> None:
        """Add the result of a task; join siblings that are complete."""
        self.nodes[level, index] = value
        first = index - index % FAN_IN
        stop = min(first + FAN_IN, self.level_sizes[level])
        siblings = [(level, k) for k in range(first, stop)]
        is_complete = all(sibling in self.nodes for sibling in siblings)
        if (level, index) != self.root and is_complete:
            joined = self.join([self.nodes.pop(sibling) for sibling in siblings])
            self.put(index // FAN_IN, joined, level + 1)

    @property
    def is_done(self) -> bool:
        """Whether there is an outcome."""
        return self.error is not None or self.root in self.nodes

    @property
    def outcome(self) -> Outcome[Any]:
        """The joined result, or the first failure."""
        return Outcome(self.nodes.get(self.root), self.error)
