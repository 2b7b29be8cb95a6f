"""Results combined in a tree whose shape depends on their number alone, so that no scheduler changes the last bit."""

from collections.abc import Callable
from typing import Any

FAN_IN = 8  # results that are combined at once


class Group:
    """What the items of a group came to, combined in a tree whose shape depends on their number alone."""

    def __init__(self, number: int, join: Callable[[list[Any]], Any]) -> None:
        self.join = join
        self.sizes = [number]  # of the levels of the tree
        while self.sizes[-1] > 1:
            self.sizes.append(-(-self.sizes[-1] // FAN_IN))
        self.root = len(self.sizes) - 1, 0
        self.nodes: dict[tuple[int, int], Any] = {}
        self.error: Exception | None = (
            None if number else ValueError("a group without items has no result")
        )

    def put(self, index: int, value: Any, level: int = 0) -> None:
        """Add a result; results that are complete are joined."""
        self.nodes[level, index] = value
        first = index - index % FAN_IN
        siblings = [
            (level, k) for k in range(first, min(first + FAN_IN, self.sizes[level]))
        ]
        if (level, index) != self.root and all(one in self.nodes for one in siblings):
            self.put(
                index // FAN_IN,
                self.join([self.nodes.pop(one) for one in siblings]),
                level + 1,
            )

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self.error is not None or self.root in self.nodes

    @property
    def outcome(self) -> Any:
        """The result, or what one of the items raised."""
        return self.nodes[self.root] if self.error is None else self.error
