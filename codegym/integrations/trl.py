"""TRL: a data set, a reward function, a rollout function and a callback for ``GRPOTrainer``.

::

    task = TRLTask(load_problems("apps_plus"), tokenizer, start="cccs")
    trainer = GRPOTrainer(
        model,
        reward_funcs=task.code_reward,
        train_dataset=task.dataset(),  # prompts, which begin at start states
        callbacks=[task.callback()],  # moves the curriculum
        rollout_func=task.rollout,  # the loss sees executed tokens only (FGO)
    )

Each can be used without the others, but the callback goes with the data set. Nothing of TRL is
patched: the token mask is the ``env_mask`` of a rollout function. That function generates as the
trainer itself would, by a method of the trainer that TRL does not document, or with a function of
yours.

A failure of codegym's own, or of a problem's checker, is None to the trainer, which then leaves the
completion out of its group's baseline and gives it no advantage. It is never a number, and moves no
stage.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from codegym.envs.prompt_format import CHAT_STOP, ChatFormat, PromptFormat, make_prompt_format
from codegym.errors import ConfigurationError, ExecutionError, IsolationError, JudgeError
from codegym.grading.grader import Grader
from codegym.integrations.completions import (
    Completion,
    CompletionGrade,
    answer_text,
    decode_answer,
    grade_completion_async,
    mask_for,
)
from codegym.problems.problem import Problem
from codegym.problems.problem_set import ProblemSet
from codegym.programs.answer import REASONING_TAGS
from codegym.rewards.registry import make_reward
from codegym.rewards.reward import checked_terms
from codegym.start_states.prefix import EmptyPrefix
from codegym.start_states.registry import make_start_states
from codegym.start_states.start_state import Reference, StartState, StartStates
from codegym.tokenization.hugging_face import HuggingFaceTokenizer
from codegym.tokenization.registry import make_tokenizer

__all__ = ["TRLTask"]

Generate = Callable[[list[Any], Any], tuple[list[list[int]], list[list[int]], Any]]
"""``(prompts, trainer) -> (prompt ids, completion ids, log-probabilities or None)``, one of each
for each prompt."""

STATE_FILE = "codegym_start_states.json"
"""Holds the curriculum in a folder of a checkpoint."""

_FENCE = "```python\n"
_OTHER_PROCESS = (
    "Prompts must be made in the process of the trainer, where the curriculum moves, got another "
    "process. Set dataloader_num_workers=0."
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """What a prompt asks, and what it has begun of the answer."""

    problem: Problem
    given: str = ""
    start: StartState | None = None


class TRLTask:
    """Problems for TRL's ``GRPOTrainer``.

    With a chat template and without start states, prompts are chat messages, and the model writes
    a whole answer, reasoning and prose included (:mod:`codegym.programs.answer` says how the
    program is found). With start states, or without a template, prompts are texts in which the
    program has begun, and the model writes the rest of it, up to a closing fence or its end.

    Args:
        problems: What is asked. Of problems with the same prompt, the first counts.
        tokenizer: The trainer's, an object of ``transformers``.
        start: The start distribution, as an environment takes it: ``"cccs"``, or an object.
        reward: A name such as ``"stepcoder"`` or ``"binary"``, or any function of the grade.
        grader: Runs and judges the programs; default: one of its own, closed by :meth:`close`.
        prompt_format: A name or an object, as of an environment; default: ``"chat"`` where the
            tokenizer has a template, ``"auto"`` elsewhere.
        system: A system message for chats.
        outside: What tokens of prose, reasoning and fences get in the mask, 0 or 1.
        generate: Generates for :meth:`rollout`; default: as the trainer would.
        seed: Seeds start distributions that draw. The same on all ranks.

    Raises:
        ConfigurationError: If an argument has no meaning.
        TokenizationError: If the tokenizer cannot spell code exactly.
    """

    def __init__(
        self,
        problems: ProblemSet,
        tokenizer: Any,
        *,
        start: str | StartStates = "empty",
        reward: str | Callable[..., float | Mapping[str, float]] = "stepcoder",
        grader: Grader | None = None,
        prompt_format: str | PromptFormat | None = None,
        system: str = "",
        outside: int = 1,
        generate: Generate | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(problems, ProblemSet):
            raise ConfigurationError(
                "problems must be a codegym.ProblemSet, such as load_problems(...) returns, got "
                f"{type(problems).__name__}."
            )
        wrapped = make_tokenizer(tokenizer)
        if not isinstance(wrapped, HuggingFaceTokenizer):
            raise ConfigurationError(
                "tokenizer must be the trainer's, an object of transformers, got "
                f"{type(tokenizer).__name__}."
            )
        self.tokenizer = wrapped
        self.problems = problems
        self.start_states = make_start_states(start)
        self.reward = make_reward(reward)
        self.outside = outside
        self.seed = seed
        has_template = bool(getattr(self.tokenizer.transformers_tokenizer, "chat_template", None))
        if prompt_format is None:
            prompt_format = "chat" if has_template else "auto"
        self._format = make_prompt_format(prompt_format, self.tokenizer)
        self._chat: ChatFormat | None = None
        if prompt_format == "chat":
            self._format = chat = ChatFormat(self.tokenizer, system)
            self._chat = chat if isinstance(self.start_states, EmptyPrefix) else None
        self._generate = generate
        self._owned = grader is None
        self.grader = Grader() if grader is None else grader
        self._asked: dict[str, _Asked] = {}
        self._outcomes: list[tuple[str, int, bool]] = []
        self._lock = threading.Lock()
        self._rounds = 0
        self._process = os.getpid()

    def dataset(self) -> Any:
        """A ``datasets.Dataset`` for ``train_dataset``, whose prompts are made when they are read.

        So they begin where the curriculum is then. A loader reads ahead; a row says where it
        begins, and counts for that stage only. Columns: ``prompt``, ``problem_id``, ``stage``.

        Raises:
            ConfigurationError: If the package datasets is missing.
        """
        try:
            import datasets
        except ImportError as error:
            raise ConfigurationError(
                "The data set for TRL needs the package datasets: pip install trl"
            ) from error
        ids = [problem.id for problem in self.problems]
        return datasets.Dataset.from_dict({"problem_id": ids}).with_transform(_Rows(self))

    def rows(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
        """The rows of some problems, as columns: ``{"problem_id": ids}`` with prompts and stages.

        Raises:
            ConfigurationError: In a process of the data loader's, which would never hear of a stage
                that moved.
        """
        if os.getpid() != self._process:
            raise ConfigurationError(_OTHER_PROCESS)
        ids = list(batch["problem_id"])
        made = [self._row(self.problems.by_id(problem_id)) for problem_id in ids]
        stages = [None if asked.start is None else asked.start.stage for _, asked in made]
        return {"prompt": [prompt for prompt, _ in made], "problem_id": ids, "stage": stages}

    async def code_reward(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Completion],
        completion_ids: Sequence[Sequence[int]],
        *,
        grade: Sequence[CompletionGrade | None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: object,
    ) -> list[float | None]:
        """The rewards of some completions; None where codegym itself failed.

        Logs verdicts and tests passed beside the completions, and as metrics the share solved, the
        terms of the reward, the mean stage and the number of failures.

        Args:
            prompts: As :meth:`dataset` made them.
            completions: The answers, texts or chat messages.
            completion_ids: Their tokens.
            grade: The grades, where :meth:`rollout` has given them already.
            log_extra: Takes a column of the table of completions.
            log_metric: Takes a number of this batch.

        Raises:
            ConfigurationError: If a prompt is not of this task's data set.
            RewardError: If the reward returned something that is not a reward.
            IsolationError: If programs cannot be run here at all.
        """
        asked = [self._asked_by(prompt) for prompt in prompts]
        if grade is None:
            answers = [
                self._answer(one, completion, ids)
                for one, completion, ids in zip(asked, completions, completion_ids, strict=True)
            ]
            grade = await self._grades(asked, answers)
        terms = [None if one is None else checked_terms(self.reward, one) for one in grade]
        self._record(asked, grade)
        if log_extra is not None:
            log_extra("problem_id", [one.problem.id for one in asked])
            log_extra("verdict", ["failure" if one is None else one.verdict.value for one in grade])
            log_extra("pass_ratio", [None if one is None else one.pass_ratio for one in grade])
        if log_metric is not None:
            self._log(log_metric, asked, grade, terms)
        return [None if one is None else sum(one.values()) for one in terms]

    def rollout(self, prompts: list[Any], trainer: Any) -> dict[str, Any]:
        """A ``rollout_func``: generates, grades, and masks what was not executed out of the loss.

        The grades go on to :meth:`code_reward`. A completion whose grading failed is masked
        nowhere: it has no advantage.

        Args:
            prompts: As :meth:`dataset` made them, one for each completion.
            trainer: The ``GRPOTrainer``.

        Raises:
            ConfigurationError: If a prompt is not of this task's data set, or the trainer has not
                the methods by which TRL 1.16 generates.
        """
        asked = [self._asked_by(prompt) for prompt in prompts]
        generate = _generate_as_the_trainer if self._generate is None else self._generate
        prompt_ids, completion_ids, logprobs = generate(prompts, trainer)
        answers = [decode_answer(ids, self.tokenizer) for ids in completion_ids]
        grades = _run(self._grades(asked, answers))
        masks = [
            [1] * len(ids)
            if grade is None
            else mask_for(ids, self.tokenizer, grade, outside=self.outside)
            for ids, grade in zip(completion_ids, grades, strict=True)
        ]
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "logprobs": logprobs,
            "env_mask": masks,
            "grade": grades,
        }

    def callback(self) -> Any:
        """A ``TrainerCallback`` that moves the curriculum after each step, the same on all ranks.

        It saves the curriculum in each checkpoint, and takes it from there when training resumes.

        Raises:
            ConfigurationError: If the packages transformers or accelerate are missing.
        """
        try:
            from accelerate.utils import gather_object
            from transformers import TrainerCallback
        except ImportError as error:
            raise ConfigurationError(
                "The callback for TRL needs the packages transformers and accelerate: "
                "pip install trl"
            ) from error
        task = self

        class MoveStages(TrainerCallback):
            """Tells the start distribution what became of the completions of a step."""

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                task.advance(gather_object(task.take_outcomes()))

            def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.is_world_process_zero:
                    task.save(_checkpoint(args, state))

            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step and (_checkpoint(args, state) / STATE_FILE).exists():
                    task.load(_checkpoint(args, state))

        return MoveStages()

    def take_outcomes(self) -> list[tuple[str, int, bool]]:
        """What this rank has seen since the last call: problem, stage, whether it was solved."""
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def advance(self, outcomes: Iterable[tuple[str, int, bool]]) -> None:
        """Tells the start distribution the outcomes of all ranks, in the same order on each."""
        for problem_id, stage, solved in outcomes:
            reference = self._reference(self.problems.by_id(problem_id))
            start = StartState("", stage, self.start_states.num_stages(reference))
            self.start_states.update(reference, start, solved=solved)
        self._rounds += 1

    def save(self, folder: str | Path) -> None:
        """Writes the state of the start distribution into a folder of a checkpoint."""
        state = {"rounds": self._rounds, "start_states": self.start_states.state_dict()}
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / STATE_FILE).write_text(json.dumps(state), encoding="utf-8")

    def load(self, folder: str | Path) -> None:
        """Restores what :meth:`save` wrote.

        Raises:
            StartStateError: If it is the state of another start distribution.
        """
        state = json.loads((Path(folder) / STATE_FILE).read_text(encoding="utf-8"))
        self.start_states.load_state_dict(state["start_states"])
        self._rounds = int(state["rounds"])

    def close(self) -> None:
        """Ends the workers of a grader that was made here."""
        if self._owned:
            self.grader.close()

    def _row(self, problem: Problem) -> tuple[Any, _Asked]:
        """A problem's prompt now."""
        if self._chat is not None:
            prompt: Any = self._chat.messages(problem)
            asked = _Asked(problem)
        else:
            shown = self._format.render(problem)
            if shown.stop not in ((), (CHAT_STOP,)):
                raise ConfigurationError(
                    f"The prompt format ends programs at {shown.stop!r}, where no trainer stops. "
                    'Use prompt_format="instruction", or one without stop sequences.'
                )
            reference = self._reference(problem)
            # All rows of a group are drawn alike, on all ranks.
            rng = np.random.default_rng(
                [self.seed, self._rounds, zlib.crc32(problem.id.encode("utf-8", "replace"))]
            )
            start = self.start_states.draw(reference, rng)
            begun = shown.header + start.prefix
            prompt = self._without_double_start(shown.text + begun)
            asked = _Asked(problem, _FENCE + begun, start)
        known = self._asked.get(_key(prompt))
        if known is None or known.problem is problem:
            known = self._asked[_key(prompt)] = asked
        return prompt, known

    def _without_double_start(self, prompt: str) -> str:
        """A prompt without its first token, where the trainer adds that again."""
        tokenizer = self.tokenizer.transformers_tokenizer
        first = getattr(tokenizer, "bos_token", None)
        if not first or not prompt.startswith(first):
            return prompt
        ids = tokenizer(text=prompt)["input_ids"]
        doubled = list(ids[:2]) == [tokenizer.bos_token_id] * 2
        return prompt.removeprefix(first) if doubled else prompt

    def _reference(self, problem: Problem) -> Reference:
        header = self._format.render(problem).header
        return Reference(problem.id, problem.canonical_solution or header, header)

    def _asked_by(self, prompt: Any) -> _Asked:
        asked = self._asked.get(_key(prompt))
        if asked is None:
            raise ConfigurationError(
                "A prompt is not of this task's data set, so nobody knows what its completion "
                f"should do: {prompt!r:.120}. Train on task.dataset(), unchanged."
            )
        return asked

    def _answer(self, asked: _Asked, completion: Any, ids: Sequence[int]) -> str:
        """The text to be graded: what TRL hands over, or what the tokens spell.

        TRL skips special tokens, which tags of reasoning may be. And a continuation without its
        leading spaces, as a decoder may hand it over, is another one. Of several messages the ids
        are all together, so that the text of the last one is only in the messages.
        """
        spelled = decode_answer(ids, self.tokenizer)
        reasons = any(tag in spelled for tag in REASONING_TAGS)
        alone = isinstance(completion, str) or len(completion) == 1
        return spelled if asked.given or (reasons and alone) else answer_text(completion)

    async def _grades(
        self, asked: Sequence[_Asked], answers: Sequence[str]
    ) -> list[CompletionGrade | None]:
        graded = (self._grade(one, answer) for one, answer in zip(asked, answers, strict=True))
        return list(await asyncio.gather(*graded))

    async def _grade(self, asked: _Asked, answer: str) -> CompletionGrade | None:
        try:
            return await grade_completion_async(
                answer, asked.problem, grader=self.grader, given=asked.given
            )
        except IsolationError:
            raise  # a machine that can run no program at all is no passing failure
        except (ExecutionError, JudgeError):
            return None

    def _record(self, asked: Sequence[_Asked], grades: Sequence[CompletionGrade | None]) -> None:
        with self._lock:
            self._outcomes += [
                (one.problem.id, one.start.stage, grade.solved)
                for one, grade in zip(asked, grades, strict=True)
                if one.start is not None and grade is not None
            ]

    def _log(
        self,
        log_metric: Callable[[str, float], None],
        asked: Sequence[_Asked],
        grades: Sequence[CompletionGrade | None],
        terms: Sequence[Mapping[str, float] | None],
    ) -> None:
        log_metric("codegym/failures", float(sum(grade is None for grade in grades)))
        known = [grade for grade in grades if grade is not None]
        if known:
            log_metric("codegym/solved", _mean(grade.solved for grade in known))
            log_metric("codegym/has_program", _mean(grade.program is not None for grade in known))
        stages = [one.start.stage for one in asked if one.start is not None]
        if stages:
            log_metric("codegym/stage", _mean(stages))
        told = [one for one in terms if one is not None]
        for name in sorted({name for one in told for name in one}):
            log_metric(f"codegym/reward/{name}", _mean(one.get(name, 0.0) for one in told))


class _Rows:
    """Makes rows for a data set, which hashes and copies what it is given."""

    def __init__(self, task: TRLTask) -> None:
        self._task = task

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
        return self._task.rows(batch)

    def __deepcopy__(self, _: object) -> _Rows:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _refuse, (id(self),)


def _refuse(_: int) -> None:
    raise ConfigurationError(_OTHER_PROCESS)


def _mean(values: Iterable[float]) -> float:
    numbers = [float(value) for value in values]
    return sum(numbers) / len(numbers)


def _key(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True)


def _checkpoint(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _generate_as_the_trainer(
    prompts: list[Any], trainer: Any
) -> tuple[list[list[int]], list[list[int]], Any]:
    """Tokenizes and generates as the trainer does without a rollout function."""
    try:
        tokenize, generate = trainer._tokenize_prompts, trainer._generate_single_turn
        training = trainer.model.training
        each = trainer.num_generations if training else trainer.num_generations_eval
    except AttributeError as error:
        raise ConfigurationError(
            f"This trainer does not generate as the GRPOTrainer of TRL 1.16 does ({error}). "
            "Install that release, or give TRLTask(generate=...) a function of your own."
        ) from error
    prompt_ids, images, fields = tokenize(prompts)
    completion_ids, logprobs = generate(prompt_ids, images, fields, each)
    return prompt_ids, completion_ids, logprobs


def _run(coroutine: Any) -> list[CompletionGrade | None]:
    """The result of a coroutine, also where an event loop runs in this thread (a notebook)."""
    result: Future[list[CompletionGrade | None]] = Future()

    def work() -> None:
        try:
            result.set_result(asyncio.run(coroutine))
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=work, daemon=True, name="codegym-trl").start()
    return result.result()
