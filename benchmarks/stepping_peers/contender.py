"""Contenders, and their turns: short blocks of steps, interleaved, in an order that rotates."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.turns import rotated

__all__ = ["Contender", "Lengths", "take_turns"]


@dataclasses.dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of an episode.

    Attributes:
        prompt: Given.
        new: Budget of generated tokens.
    """

    prompt: int
    new: int

    @property
    def context(self) -> int:
        """L."""
        return self.prompt + self.new

    def __str__(self) -> str:
        return f"{self.prompt}+{self.new}"


@dataclasses.dataclass(slots=True)
class Contender:
    """Something that steps.

    Attributes:
        name: Unique within a group.
        width: Tokens that a step takes: sub-environments, or 1.
        begin: Resets; not timed.
        step: One step that ends no episode; it is called `steps` times at most after `begin`.
        steps: How many steps may follow.
        close: Ends it.
        seconds: Of one step, a mean for each block.
    """

    name: str
    width: int
    begin: Callable[[], object]
    step: Callable[[], object]
    steps: int
    close: Callable[[], object] = lambda: None
    seconds: list[float] = dataclasses.field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds of a step, over the blocks."""
        return statistics.median(self.seconds)

    @property
    def tokens_per_second(self) -> float:
        """Steps of single sub-environments."""
        return self.width / self.median

    def block(self, seconds: float) -> None:
        """Steps for some time and notes the mean; begins anew, untimed, as often as needed."""
        spent, count = 0.0, 0
        while spent < seconds:
            self.begin()
            self.step()  # the first step after a reset finds cold caches
            left = self.steps - 1
            while left and spent < seconds:
                some = min(left, max(1, left // 4))
                started = time.perf_counter()
                for _ in range(some):
                    self.step()
                spent += time.perf_counter() - started
                count += some
                left -= some
        self.seconds.append(spent / count)


def take_turns(contenders: Sequence[Contender], *, rounds: int, block_seconds: float) -> None:
    """Times all of them; each round begins with another one. Closes them."""
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds + 1):
            for contender in rotated(contenders, turn):
                print(f"\r{turn}/{rounds} {contender.name:60.60}", end="", file=sys.stderr)
                contender.block(block_seconds)
            if turn == 0:  # a round to warm up
                for contender in contenders:
                    contender.seconds.clear()
    finally:
        gc.enable()
        print(file=sys.stderr)
        for contender in contenders:
            contender.close()
