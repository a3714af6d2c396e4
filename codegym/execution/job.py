"""One request on its way: which inputs are still to be run, and what was seen so far.

Workers take shares of a job, so that a long one keeps all of them busy. Not thread-safe: the pool
calls it under its lock.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from codegym.execution.result import ExitReason, Observation, Request, Result
from codegym.execution.wire import Message

__all__ = ["Job"]

_SMALLEST_SHARE = 16
_SLOW_SECONDS = 0.25


class Job:
    """A request, its inputs in shares, and the future of its result.

    Args:
        request: What to run.
        packages: What any program may import.

    Attributes:
        message: The encoded request.
        future: The future that gets the result.
        packages: What this program may import.
        started: Whether a share was taken.
    """

    def __init__(self, request: Request, packages: Iterable[str] = ()) -> None:
        self.message = Message(request, packages)
        self.future: Future[Result] = Future()
        self.packages = frozenset(packages).union(request.packages)
        self.started = False
        count = len(request.inputs)
        self._stops = request.stop_on_error
        self._seen: list[Observation | None] = [None] * count
        self._end = count  # inputs from here on are not wanted any more
        self._waiting = collections.deque([range(count)])
        self._out = 0
        self._slow = False

    @property
    def waits(self) -> bool:
        """Whether some inputs are with no worker."""
        return bool(self._waiting)

    @property
    def finished(self) -> bool:
        """Whether everything was seen that is wanted."""
        return not self._waiting and self._out == 0

    def take(self, workers: int) -> range:
        """A share for one of `workers`: large at first, smaller towards the end."""
        self.started = True
        inputs = self._waiting.popleft()
        size = 1 if self._slow else max(_SMALLEST_SHARE, len(inputs) // (2 * workers))
        if size < len(inputs):
            self._waiting.appendleft(inputs[size:])
        self._out += 1
        return inputs[:size]

    def record(self, inputs: range, seen: Sequence[Observation], hopeless: bool) -> None:
        """Takes what was seen on the first inputs of a share; the others wait again.

        Args:
            inputs: The share.
            seen: One observation for each input that was run.
            hopeless: Whether the program ended before it came to its input, as it would on all.
        """
        self._out -= 1
        self._seen[inputs.start : inputs.start + len(seen)] = seen
        if hopeless:
            self._seen = [seen[-1]] * len(self._seen)
            self._cut(1 if self._stops else 0)
            return
        if self._stops:
            for index, observation in zip(inputs, seen, strict=False):
                if observation.reason is not ExitReason.FINISHED:
                    self._cut(index + 1)
                    return
        if len(seen) < len(inputs):
            self._waiting.appendleft(inputs[len(seen) :])
        self._slow = sum(one.wall_seconds for one in seen) > _SLOW_SECONDS * len(seen)

    def _cut(self, end: int) -> None:
        """Gives up the inputs from `end` on."""
        if self._stops:
            self._end = min(self._end, end)
        kept = [range(r.start, min(r.stop, end)) for r in self._waiting if r.start < end]
        self._waiting = collections.deque(kept)

    def drop(self) -> None:
        """Gives up what waits: the result is not wanted, or cannot be had."""
        self._waiting.clear()

    def result(self) -> Result:
        """What was seen, when the job is finished."""
        return Result(tuple(one for one in self._seen[: self._end] if one is not None))
