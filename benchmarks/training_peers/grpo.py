"""TRL's GRPOTrainer on the same job, with codegym's grader as its reward function.

Tokens are the environment's own: each id is spelled by a character of Unicode's private use area,
so TRL's tokenizer (one character, one token) sees the prompts that the environment shows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from datasets import Dataset
from datasets.table import InMemoryTable
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

import codegym
from agents.environments import make_tokenizer
from agents.policy import CausalLMPolicy
from benchmarks.training_peers.job import Arm, CpuClock, Job, Share
from codegym.envs import make_prompt_format, prompt_tokens
from codegym.rewards import make_reward
from codegym.tokenization import Tokenizer

__all__ = ["run"]

_PRIVATE = 0xE000


def run(job: Job, arm: Arm, grader: codegym.Grader, seed: int) -> list[Share]:
    """A block of iterations.

    Args:
        job: What is to be done.
        arm: By how many processes.
        grader: Judges.
        seed: Of the block.

    Returns:
        What this process did in each.
    """
    args = job.args
    tokenizer = make_tokenizer(args.tokenizer)
    judge = _Judge(job, grader, tokenizer)
    clock = _Clock(steps=args.epochs * args.minibatches)
    with tempfile.TemporaryDirectory() as folder:
        # TRL loads the reference from the folder that the model came from.
        CausalLMPolicy.from_pretrained(job.policy).trunk.save_pretrained(folder)
        trainer = GRPOTrainer(
            model=folder,
            reward_funcs=judge,
            args=_config(job, arm, seed, Path(folder)),
            train_dataset=_prompts(job, tokenizer, seed),
            processing_class=_spelling(tokenizer),
            callbacks=[clock],
        )
        generate = trainer.model.generate

        def timed(*inputs: Any, **options: Any) -> Any:
            began = time.perf_counter()
            output = generate(*inputs, **options)
            clock.generate.append(time.perf_counter() - began)
            return output

        trainer.model.generate = timed
        trainer.train()
    return list(_shares(clock, judge))


def _config(job: Job, arm: Arm, seed: int, folder: Path) -> Any:
    args = job.args
    minibatch = args.episodes // args.minibatches // arm.processes
    return GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=minibatch,
        steps_per_generation=args.minibatches,
        num_iterations=args.epochs,
        num_generations=job.group,
        max_completion_length=args.max_new_tokens,
        temperature=args.temperature,
        top_k=0,
        beta=args.kl_coefficient,
        epsilon=args.clip_range,
        learning_rate=args.learning_rate,
        max_grad_norm=args.max_grad_norm,
        max_steps=(job.iterations + 1) * args.epochs * args.minibatches,
        seed=seed,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        model_init_kwargs={"dtype": "float32"},
    )


def _prompts(job: Job, tokenizer: Tokenizer, seed: int) -> Any:
    prompt_format = make_prompt_format(job.args.prompt_format)
    rows = []
    for position in np.random.default_rng(seed).permutation(len(job.problems)).tolist():
        problem = job.problems[position]
        prompt = prompt_format.render(problem)
        ids = prompt_tokens(prompt, tokenizer)
        rows.append(
            {
                "prompt": "".join(chr(_PRIVATE + i) for i in ids),
                "problem_id": problem.id,
                "header": prompt.header,
            }
        )
    # With a name of its own: hashing the content fails with some versions of pyarrow.
    table = InMemoryTable.from_pylist(rows)
    return Dataset(table, fingerprint=f"codegym-{seed}")


def _spelling(tokenizer: Tokenizer) -> Any:
    """One character, one token."""
    vocab = {chr(_PRIVATE + i): i for i in range(tokenizer.vocab_size)}
    end = chr(_PRIVATE + tokenizer.end_id)
    model = tokenizers.models.WordLevel(vocab, unk_token=end)
    fast = tokenizers.Tokenizer(model)
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    pad = chr(_PRIVATE + tokenizer.pad_id)
    fast_class: Any = PreTrainedTokenizerFast  # untyped
    return fast_class(tokenizer_object=fast, eos_token=end, pad_token=pad)


class _Judge:
    """The reward function."""

    __name__ = "codegym"

    def __init__(self, job: Job, grader: codegym.Grader, tokenizer: Tokenizer) -> None:
        self._problems = {problem.id: problem for problem in job.problems}
        self._reward = make_reward(job.args.reward)
        self._grader, self._tokenizer = grader, tokenizer
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self.solved: list[list[str]] = []

    def __call__(
        self,
        *,
        completion_ids: Sequence[Sequence[int]],
        problem_id: Sequence[str],
        header: Sequence[str],
        **_: Any,
    ) -> list[float]:
        began = time.perf_counter()
        pairs = [
            (self._problems[name], start + self._tokenizer.decode(ids))
            for name, start, ids in zip(problem_id, header, completion_ids, strict=True)
        ]
        grades = self._grader.grade_many(pairs)
        rewards = [sum(self._reward(grade).values()) for grade in grades]
        self.seconds.append(time.perf_counter() - began)
        self.tokens.append(sum(map(len, completion_ids)))
        graded = zip(problem_id, grades, strict=True)
        self.solved.append([name for name, grade in graded if grade.solved])
        return rewards


class _Clock(TrainerCallback):
    """When iterations begin and end."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._cpu = CpuClock()
        self.ends: list[float] = []
        self.cpu_seconds: list[float] = []
        self.generate: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._cpu.lap()
        self.ends.append(time.perf_counter())

    def on_step_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step % self._steps == 0:
            self.ends.append(time.perf_counter())
            self.cpu_seconds.append(self._cpu.lap())


def _shares(clock: _Clock, judge: _Judge) -> Iterator[Share]:
    names = ("seconds", "generate", "judge", "tokens", "solved", "cpu_seconds")
    columns = (
        *(np.diff(clock.ends).tolist(), clock.generate, judge.seconds),
        *(judge.tokens, judge.solved, clock.cpu_seconds),
    )
    for row in zip(*columns, strict=True):
        yield Share(**dict(zip(names, row, strict=True)))
