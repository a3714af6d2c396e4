"""Several processes that train one policy together, each with a GPU of its own (data parallel).

``accelerate launch --num_processes N -m agents.ppo ...`` starts N processes with the same command
line. Each has the whole policy, critic and optimiser. What they do together is in this file:

1. **Rollout.** Each process writes its share of the episodes, with random numbers of its own.
2. **Exchange.** All processes get the episodes and scores of all, in the order of the processes.
   From here each has the batch that a single process with all episodes would have, so rewards,
   whitened advantages, masks, means and metrics need no rule of their own for several processes.
   Start distribution and problem sampler learn from the outcomes of all, in the same order.
3. **Update.** A minibatch is drawn from all episodes and has the normalisers of all its tokens.
   Each process computes the gradient of its share of the rows, and the gradients are *summed*. A
   mean over processes would be wrong: their shares have different numbers of tokens.

With the same episodes, an update is that of a single process up to the rounding of sums. Which
episodes are written differs, because each process draws its own. Every decision (a loss that is
not finite, the target KL, the guard) is made of numbers that all processes have, or by the first
process for all, so no process waits for one that has gone another way.

A process alone needs neither accelerate nor any of this.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from agents.scoring import Scores
from agents.sequences import Sequences, concatenate
from codegym.envs import CodeTask
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet

__all__ = ["ALONE", "Processes", "SharedOutcomes", "joined", "launched", "refuse_several"]

Value = TypeVar("Value")

# Others wait while one writes a long program or a checkpoint. A process that fails is no reason for
# a short limit: the launcher ends the others.
_PATIENCE = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Processes:
    """This process and those that were launched with it.

    Attributes:
        index: Of this process, from 0. The first one writes the files and the screen.
        count: Of all processes.
        on_this_machine: How many of them share this machine's processors.
        device: Which device accelerate gives this process; None for a process alone.
    """

    index: int = 0
    count: int = 1
    on_this_machine: int = 1
    device: str | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes the files and the screen."""
        return self.index == 0

    def share(self, name: str, number: int) -> int:
        """What of a setting of the whole run falls to each process.

        Args:
            name: Of the setting.
            number: Its value.

        Returns:
            The number for one process.

        Raises:
            ConfigurationError: If it cannot be shared evenly.
        """
        if number % self.count:
            raise ConfigurationError(
                f"{name} is shared by all processes, so {self.count} of them must divide it, got "
                f"{name}={number}. Choose a multiple of {self.count}."
            )
        return number // self.count

    def part_of(self, problems: ProblemSet) -> ProblemSet:
        """The held-out problems that this process evaluates.

        Raises:
            ConfigurationError: If there are fewer than processes.
        """
        if len(problems) < self.count:
            raise ConfigurationError(
                f"Each of {self.count} processes evaluates some held-out problems, but there are "
                f"{len(problems)}. Raise eval_per_level, or go without evaluations with "
                "eval_every=0."
            )
        return problems[self.index :: self.count]

    def workers(self, workers: int | None) -> int | None:
        """How many programs a process runs at a time: `workers`, or its share of the CPUs."""
        if workers is not None or self.count == 1:
            return workers
        return max(1, len(os.sched_getaffinity(0)) // self.on_this_machine)

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes, in their order.

        Args:
            value: Can be pickled; its tensors are on the CPU.

        Returns:
            The same list in each process.
        """
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def from_first(self, value: Value) -> Value:
        """The first process's value, in all of them: a decision that all must make alike."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box, src=0)
        result: Value = box[0]
        return result

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.count > 1:
            distributed.barrier()

    def copy_from_first(self, models: Iterable[nn.Module]) -> None:
        """Gives all processes the weights of the first.

        Args:
            models: Of the same shapes in all processes; changed in place.
        """
        if self.count == 1:
            return
        for model in models:
            for tensor in (*model.parameters(), *model.buffers()):
                whole = tensor.detach().contiguous()
                distributed.broadcast(whole, src=0)
                tensor.detach().copy_(whole)

    def rows(self, index: Tensor, length: Tensor) -> Tensor:
        """This process's rows of a minibatch: every `count`-th by length, so that work is even.

        Args:
            index: (N,) int64 rows of the minibatch.
            length: (B,) lengths of all rows.

        Returns:
            (n,) int64; empty where there are fewer rows than processes.
        """
        if self.count == 1:
            return index
        order = index[torch.argsort(length[index], descending=True, stable=True)]
        return order[self.index :: self.count]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces each gradient by the sum over all processes, computed in float32 at least.

        A parameter without a gradient anywhere stays without one.

        Args:
            parameters: In the same order in all processes.
        """
        learned = list(parameters)
        if self.count == 1 or not learned:
            return
        has_one = torch.tensor(
            [float(parameter.grad is not None) for parameter in learned], device=learned[0].device
        )
        distributed.all_reduce(has_one)
        for parameter, processes in zip(learned, has_one.tolist(), strict=True):
            if not processes:
                continue
            mine = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            total = mine.detach().to(torch.promote_types(mine.dtype, torch.float32)).contiguous()
            distributed.all_reduce(total)
            parameter.grad = total.to(parameter.dtype)

    def sum_scalars(self, scalars: dict[str, float], *, largest: str) -> dict[str, float]:
        """Named numbers of a minibatch that add up over the shares of its rows.

        Args:
            scalars: Of this process.
            largest: The name of the one of which the largest is taken.

        Returns:
            The same numbers in each process.
        """
        first, *others = self.gather(scalars)
        total = dict(first)
        for other in others:
            for name, value in other.items():
                both = (total.get(name, 0.0), value)
                total[name] = max(both) if name == largest else sum(both)
        return total

    def all_episodes(self, sequences: Sequences, scores: Scores) -> tuple[Sequences, Scores]:
        """The episodes of all processes and what the models said of them.

        Args:
            sequences: This process's episodes.
            scores: Of these, with as many columns.

        Returns:
            All episodes, in the order of the processes, on this process's device. Groups of
            different processes have different numbers.
        """
        if self.count == 1:
            return sequences, scores
        device = sequences.input_ids.device
        parts = self.gather((_moved(sequences, "cpu"), _moved(scores, "cpu")))
        written, groups = [], 0
        for part, _ in parts:
            written.append(part._replace(group=part.group + groups))
            groups = int(written[-1].group.max()) + 1
        together = concatenate(written)
        width = together.input_ids.shape[1]
        fields = zip(*(said for _, said in parts), strict=True)
        said = Scores(*(_stacked(field, width) for field in fields))
        return _moved(together, device), _moved(said, device)


ALONE = Processes()
"""A process that was not launched with others."""


class SharedOutcomes:
    """Lets start distribution and sampler learn from the episodes of all processes.

    What the environment tells them during a rollout is kept back. :meth:`exchange` then tells each
    process's copies the outcomes of all, in the order of the processes, so that all copies stay
    equal. Between the waves of one rollout they stand still.

    Args:
        task: Of the environment; its start distribution and sampler are replaced by ones that keep
            back what they are told.
        processes: All of them.
    """

    def __init__(self, task: CodeTask, processes: Processes) -> None:
        self._task, self._processes = task, processes
        self._start_states, self._sampler = task.start_states, task.sampler
        self._starts, self._draws = _KeptBack(task.start_states), _KeptBack(task.sampler)
        task.start_states, task.sampler = self._starts, self._draws

    def exchange(self) -> None:
        """Tells the outcomes of all processes since the last call.

        Raises:
            ConfigurationError: If the copies differ afterwards.
        """
        # Problems are large and known everywhere: their ids are sent.
        starts = [(one[0].problem_id, *one[1:]) for one in self._starts.take()]
        draws = [(one[0].id, *one[1:]) for one in self._draws.take()]
        task = self._task
        for all_starts, all_draws in self._processes.gather((starts, draws)):
            for problem_id, start, solved in all_starts:
                reference = task.reference(task.problems.by_id(problem_id))
                self._start_states.update(reference, start, solved=solved)
            for problem_id, grade in all_draws:
                self._sampler.update(task.problems.by_id(problem_id), grade)
        self._refuse_differences()

    def _refuse_differences(self) -> None:
        learners = (self._start_states, self._sampler)
        digests = self._processes.gather([_digest(one.state_dict()) for one in learners])
        for learner, *mine in zip(learners, *digests, strict=True):
            if len(set(mine)) > 1:
                raise ConfigurationError(
                    f"{type(learner).__name__} must learn from update() alone to be shared by "
                    f"{self._processes.count} processes, but its copies differ after an iteration: "
                    "draw() changes its state_dict(). Train with one process, or keep draw() pure."
                )


class _KeptBack:
    """A start distribution or sampler that notes what it is told, and is the same otherwise."""

    def __init__(self, learner: Any) -> None:
        self._learner = learner
        self._told: list[tuple[Any, ...]] = []

    def update(self, *what: Any, **named: Any) -> None:
        self._told.append((*what, *named.values()))

    def take(self) -> list[tuple[Any, ...]]:
        told, self._told = self._told, []
        return told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)


def launched() -> int:
    """How many processes a launcher such as ``accelerate launch`` started with this one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def refuse_several() -> None:
    """Refuses to be one of several processes, which would do the same and write the same files.

    Raises:
        ConfigurationError: If this process was launched with others.
    """
    if launched() > 1:
        raise ConfigurationError(
            f"This command is for one process, but was launched as {launched()}. Only agents.ppo "
            "is made for several; start this one with python -m."
        )


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Joins the processes that a launcher started with this one.

    Yields:
        All of them; :data:`ALONE` where there is no launcher.

    Raises:
        ConfigurationError: If accelerate is not installed, or finds other processes.
    """
    if launched() == 1:
        yield ALONE
        return
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ConfigurationError(
            f"Training with {launched()} processes needs accelerate, which cannot be imported "
            f"({error}). Install the extra llm: pip install -e '.[agents,llm]'."
        ) from error
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    on_cpu = on_cpu or not torch.accelerator.is_available()
    state = PartialState(cpu=on_cpu, timeout=_PATIENCE)
    if state.num_processes != launched():
        raise ConfigurationError(
            f"Expected the {launched()} processes that were launched, but accelerate finds "
            f"{state.num_processes}. Start them with accelerate launch --num_processes "
            f"{launched()} -m agents.ppo."
        )
    yield Processes(
        index=state.process_index,
        count=state.num_processes,
        on_this_machine=int(os.environ.get("LOCAL_WORLD_SIZE", state.num_processes)),
        device="cpu" if on_cpu else str(state.device),
    )
    # Not after an error: the others may wait for this process, which the launcher ends.
    state.destroy_process_group()


def _moved(batch: Any, device: torch.device | str) -> Any:
    """A named tuple with its tensors on a device."""
    moved = (field.to(device) if isinstance(field, Tensor) else field for field in batch)
    return type(batch)(*moved)


def _stacked(parts: Sequence[Any], width: int) -> Any:
    """(B, T) of parts with fewer rows and columns; None where there is none."""
    if parts[0] is None:
        return None
    return torch.cat([nn.functional.pad(part, (0, width - part.shape[1])) for part in parts])


def _digest(state: Any) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest()
