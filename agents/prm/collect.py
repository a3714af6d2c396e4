"""Collects labels: policies write programs, and those that fail are searched line by line.

Needs no labels of people and no solutions: only problems with tests, and checkpoints of the policy
that the reward model is to help (arXiv 2410.17621 takes four, evenly spaced over a first run).

    python -m agents.prm.collect --policies runs/ppo/checkpoints/*/policy --out runs/prm/labels

What it finds is stored a group of problems at a time (see :mod:`agents.prm.storage`): the same
command goes on where an earlier one was broken off.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from gymnasium.vector import VectorEnv

from agents.command import command_line, main, set_up_torch
from agents.completions import Completions, Prefix
from agents.engines import use_engine
from agents.environments import (
    TaskSettings,
    fitting,
    load_split,
    make_envs,
    make_grader,
    make_tokenizer,
)
from agents.policy import CausalLMPolicy
from agents.prm.labels import Kind, is_monotone, kind_of, labels_of, labels_of_rates
from agents.prm.lines import Lines, lines_of, vocabulary_hash
from agents.prm.oracle import Oracle, Searched
from agents.prm.storage import LabelledResponse, LabelStore, read_labels
from agents.rollout import Sampling, play
from agents.sequences import Sequences
from agents.telemetry import RunLogger
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet
from codegym.programs import NEUTRAL
from codegym.tokenization import Tokenizer

__all__ = ["Args", "collect", "count"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(TaskSettings):
    """Labels for a process reward model."""

    policies: tuple[Path, ...] = ()
    """folders of saved policies; each writes its own responses"""
    problems: int = 384
    """size of the set that is asked about; 0: all"""
    responses: int = 4
    """n: programs that each policy writes for each problem"""
    completions: int = 20
    """K: so many are written for a prefix"""
    labelling: Literal["any", "rate"] = "any"
    """"any": a prefix is good if one completion passes, which is searched for (the paper's);
    "rate": the label is the share that passes, of every prefix, which costs many times as much"""
    completer: Path | None = None
    """folder of the policy that completes; None: who wrote the program. Of a policy that seldom
    passes, nearly no completion does, and nearly all lines are called lost"""
    temperature: float = 1.0
    """of responses and completions"""
    group: int = 64
    """problems of a group, which is stored at once"""
    audit: int = 2
    """failed responses of each group of which every prefix is asked, to count those that binary
    search cannot be right about"""
    neutral: tuple[str, ...] = NEUTRAL
    """kinds of lines that are labelled 0; the paper has "comment" only"""
    seed: int = 0
    """of everything"""
    threads: int = 1
    """of torch, for each model that is computed"""
    device: str = "cpu"
    """of the policies"""
    out: Path = Path("runs/prm/labels")
    """gets labels.jsonl and manifest.json; logs go to log/ below it"""


class _Response(NamedTuple):
    """A program that was written."""

    problem_id: str
    difficulty: str
    input_ids: tuple[int, ...]
    start_length: int
    verdict: str
    solved: bool
    lines: Lines

    def prefixes(self) -> list[Prefix]:
        return [
            Prefix(self.problem_id, self.input_ids[self.start_length : end + 1])
            for end in self.lines.ends
        ]


class _Labels(NamedTuple):
    """What was found out of a program; `recoverable` where every prefix was asked."""

    labels: tuple[float, ...]
    searched: Searched
    recoverable: tuple[bool, ...] | None


def collect(args: Args, logger: RunLogger) -> dict[str, Any]:
    """The command.

    Args:
        args: The command line.
        logger: Where to report.

    Returns:
        The counts of the manifest, see :func:`count`.

    Raises:
        ConfigurationError: If there is no policy, or the folder holds other labels.
        StorageError: If labels cannot be written.
    """
    set_up_torch(args.threads, args.device)
    if not args.policies:
        raise ConfigurationError("Labels are collected from policies: give --policies FOLDER ...")
    tokenizer = make_tokenizer(args.tokenizer, args.prompt_format)
    problems = fitting(
        load_split(args, split=args.split, size=args.problems, seed=args.seed), args, tokenizer
    )
    store = LabelStore(args.out, _manifest(args, problems, tokenizer))
    for line in store.skipped:
        logger.note(f"{args.out}: {line}; its group is collected again.")
    prompt_format = make_prompt_format(args.prompt_format, tokenizer)
    headers = {problem.id: prompt_format.render(problem).header for problem in problems}
    groups = list(_groups(args, problems))
    with make_grader(args) as grader:
        envs = make_envs(args, problems, start="empty", grader=grader, tokenizer=tokenizer)
        completer = None if args.completer is None else _load(args, args.completer, tokenizer)
        try:
            loaded: tuple[int, CausalLMPolicy] | None = None
            for number, (index, part) in enumerate(groups):
                logger.progress(number / len(groups), f"labels, group {number + 1}/{len(groups)}")
                if number in store.groups:
                    continue
                if loaded is None or loaded[0] != index:
                    loaded = index, _load(args, args.policies[index], tokenizer)
                writer = loaded[1]
                collector = _Collector(
                    args, writer, completer or writer, envs, tokenizer, headers, number
                )
                store.append(number, collector.group(index, part))
        finally:
            envs.close()
    logger.end_progress()
    counts = count(read_labels(args.out).responses)
    store.finish(counts)
    _report(counts, logger)
    return counts


def count(responses: Sequence[LabelledResponse]) -> dict[str, Any]:
    """What labels were found and what they cost.

    Args:
        responses: Of a collection.

    Returns:
        ``"responses"``; ``"correct"``, ``"revised"`` and ``"wrong"`` ones; ``"questions"`` and
        ``"completions"`` of the searches; and ``"audit"``, of the responses of which every prefix
        was asked: ``"responses"``, how many are ``"not_monotone"`` (a prefix that can be finished
        follows one that cannot), ``"lines"``, and ``"labels_differ"``, lines whose label is not
        the exhaustive labeller's.
    """
    kinds = collections.Counter(response.kind for response in responses)
    audited = [(one, one.recoverable) for one in responses if one.recoverable is not None]
    last = [max((m + 1 for m, good in enumerate(all_) if good), default=0) for _, all_ in audited]
    return {
        "responses": len(responses),
        **{kind: kinds[kind] for kind in get_args(Kind)},
        "questions": sum(response.questions for response in responses),
        "completions": sum(response.completions for response in responses),
        "audit": {
            "responses": len(audited),
            "not_monotone": sum(not is_monotone(answers) for _, answers in audited),
            "lines": sum(len(one.labels) for one, _ in audited),
            "labels_differ": sum(
                abs(lines - one.recoverable_lines)
                for lines, (one, _) in zip(last, audited, strict=True)
            ),
        },
    }


class _Collector:
    """The labels of one group."""

    def __init__(
        self,
        args: Args,
        writer: CausalLMPolicy,
        completer: CausalLMPolicy,
        envs: VectorEnv[Any, Any, Any],
        tokenizer: Tokenizer,
        headers: Mapping[str, str],
        number: int,
    ) -> None:
        self._headers, self._writer, self._completer = headers, writer, completer
        self._args, self._envs, self._tokenizer = args, envs, tokenizer
        self._seed = int(np.random.SeedSequence([args.seed, number]).generate_state(1)[0])

    def group(self, policy: int, problem_ids: Sequence[str]) -> list[LabelledResponse]:
        responses = [one for one in self._write(problem_ids) if one.lines.ends]
        label = self._search if self._args.labelling == "any" else self._rate
        return [
            LabelledResponse(
                policy=policy,
                problem_id=one.problem_id,
                difficulty=one.difficulty,
                input_ids=one.input_ids,
                start_length=one.start_length,
                line_ends=one.lines.ends,
                labels=found.labels,
                kind=kind_of(solved=one.solved, recoverable_lines=found.searched.lines),
                recoverable_lines=found.searched.lines,
                verdict=one.verdict,
                questions=found.searched.questions,
                completions=found.searched.completions,
                recoverable=found.recoverable,
            )
            for one, found in zip(responses, label(responses), strict=True)
        ]

    def _search(self, responses: Sequence[_Response]) -> list[_Labels]:
        """The paper's labels: of failed programs, the last recoverable prefix is searched for."""
        failed = [one for one in responses if not one.solved]
        searches = self._oracle(1).search([one.prefixes() for one in failed])
        audited = failed[: self._args.audit]
        answers = dict(zip(map(id, audited), self._ask_all(audited), strict=True))
        found = {id(one): searched for one, searched in zip(failed, searches, strict=True)}
        labelled = []
        for one in responses:
            searched = found.get(id(one), Searched(len(one.lines.ends), 0, 0))
            labels = labels_of(
                one.lines.neutral, solved=one.solved, recoverable_lines=searched.lines
            )
            labelled.append(_Labels(labels, searched, answers.get(id(one))))
        return labelled

    def _rate(self, responses: Sequence[_Response]) -> list[_Labels]:
        """Of every prefix, how often it is completed; whole programs are known to pass or fail."""
        rates = iter(self._oracle(1).rates([p for one in responses for p in one.prefixes()[:-1]]))
        labelled = []
        for one in responses:
            asked = len(one.lines.ends) - 1
            mine = [*(next(rates) for _ in range(asked)), float(one.solved)]
            good = tuple(rate > 0.0 for rate in mine)
            last = max((m for m, is_good in enumerate(good, 1) if is_good), default=0)
            searched = Searched(last, asked, asked * self._args.completions)
            recoverable = None if one.solved else good[:-1]
            labelled.append(
                _Labels(labels_of_rates(one.lines.neutral, mine), searched, recoverable)
            )
        return labelled

    def _write(self, problem_ids: Sequence[str]) -> list[_Response]:
        size = self._envs.num_envs
        wanted = [name for name in problem_ids for _ in range(self._args.responses)]
        waves = [wanted[i : i + size] for i in range(0, len(wanted), size)]
        sequences = play(
            self._writer,
            self._envs,
            episodes=len(wanted),
            seed=self._seed,
            sampling=Sampling(self._args.temperature),
            options=[{"problem_id": wave + wave[:1] * (size - len(wave))} for wave in waves],
        ).sequences
        return [self._response(sequences, i) for i in range(len(wanted))]

    def _response(self, sequences: Sequences, i: int) -> _Response:
        ids = tuple(sequences.input_ids[i, : int(sequences.length[i])].tolist())
        start = int(sequences.start_length[i])
        return _Response(
            problem_id=sequences.problem_id[i],
            difficulty=sequences.difficulty[i],
            input_ids=ids,
            start_length=start,
            verdict=sequences.verdict[i],
            solved=bool(sequences.solved[i]),
            lines=lines_of(
                ids,
                start,
                self._tokenizer,
                before=self._headers[sequences.problem_id[i]],
                neutral=self._args.neutral,
            ),
        )

    def _ask_all(self, failed: Sequence[_Response]) -> list[tuple[bool, ...]]:
        """The answers for every prefix of some responses."""
        prefixes = [one.prefixes()[:-1] for one in failed]
        answers = iter(
            self._oracle(2).recoverable([prefix for part in prefixes for prefix in part])
        )
        return [tuple(next(answers) for _ in part) for part in prefixes]

    def _oracle(self, part: int) -> Oracle:
        source = Completions(
            self._completer,
            self._envs,
            sampling=Sampling(self._args.temperature),
            seed=int(np.random.SeedSequence([self._seed, part]).generate_state(1)[0]),
        )
        return Oracle(source, completions=self._args.completions)


def _groups(args: Args, problems: ProblemSet) -> Iterator[tuple[int, list[str]]]:
    names = [problem.id for problem in problems]
    for index in range(len(args.policies)):
        for first in range(0, len(names), args.group):
            yield index, names[first : first + args.group]


def _load(args: Args, folder: Path, tokenizer: Tokenizer) -> CausalLMPolicy:
    policy = CausalLMPolicy.from_pretrained(folder, vocab_size=tokenizer.vocab_size)
    use_engine(policy, args)
    return policy.to(args.device).eval()


def _manifest(args: Args, problems: ProblemSet, tokenizer: Tokenizer) -> dict[str, Any]:
    decisive = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(args)
        # These change nothing of what is found.
        if field.name
        not in (
            "policies",
            "out",
            "threads",
            "device",
            "workers",
            "judging",
            "audit",
            "vllm_memory",
        )
    }
    if args.completer is not None:
        decisive["completer"] = _weights_hash(args.completer)
    content = hashlib.sha256("".join(problem.content_hash for problem in problems).encode())
    return {
        "format": 1,
        **decisive,
        "policies": [
            {"folder": str(path), "sha256": _weights_hash(path)} for path in args.policies
        ],
        "problems_sha256": content.hexdigest(),
        "num_problems": len(problems),
        "vocabulary_sha256": vocabulary_hash(tokenizer),
    }


def _weights_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _report(counts: Mapping[str, Any], logger: RunLogger) -> None:
    shares = ", ".join(f"{kind} {counts[kind]}" for kind in get_args(Kind))
    logger.note(
        f"{counts['responses']} responses ({shares}); {counts['questions']} questions and "
        f"{counts['completions']} completions for those that failed."
    )
    audit = counts["audit"]
    if audit["responses"]:
        logger.note(
            f"Of {audit['responses']} failed responses every prefix was asked: "
            f"{audit['not_monotone']} are not monotone, and {audit['labels_differ']} of "
            f"{audit['lines']} labels differ from those of the exhaustive labeller (completions "
            "are drawn anew for it, so chance is part of that)."
        )


def _main() -> None:
    args = command_line(Args)
    with RunLogger(args.out / "log") as logger:
        collect(args, logger)


if __name__ == "__main__":
    main(_main)
