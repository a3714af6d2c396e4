"""Which problem is a sample of? By its id, then by the exact prompt, then by its tests.

An id is taken as it is spelled, else without regard to case and punctuation (evalplus writes the
folder ``HumanEval_0`` for ``HumanEval/0``). A prompt is a problem's description, its starter code,
or what a prompt format of codegym makes of it; else it is that of the only problem whose
description or starter code stands in it, to the letter and not shorter than 24 characters (what is
a part of another one's that stands there as well does not count). Of a prompt in a chat template
the last message of the user counts. Tests are compared by a digest of inputs and outputs that does
not depend on how a file spells them. What fits two problems fits none.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from codegym.commands.samples.sample import Sample
from codegym.envs.prompt_format import CompletionFormat, InstructionFormat
from codegym.errors import ProblemError
from codegym.integrations.problem_json import is_problem_json, problem_from_json
from codegym.integrations.questions import ask
from codegym.problems import (
    BinaryTree,
    CallTest,
    LinkedList,
    Problem,
    ProblemSet,
    StdinTest,
)
from codegym.problems.reading.json_values import parse_json

__all__ = ["Match", "Matcher", "Unmatched", "after_question"]

MatchedBy = Literal["id", "position", "prompt", "tests"]

_FORMATS = (CompletionFormat(), InstructionFormat())
_SHORTEST = 24
"""Characters of what tells a problem in the middle of a prompt."""
_USER_TURN = re.compile(
    r"(?:<\|im_start\|>user\n|<\|start_header_id\|>user<\|end_header_id\|>\n\n|(?:\A|\n)user\n)"
    r"(?P<text>.*?)"
    r"(?:<\|im_end\|>|<\|eot_id\|>|\n<\|im_start\|>assistant|\nassistant\n)",
    re.DOTALL,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """The problem of a sample.

    Attributes:
        problem_id: The problem's id in its source.
        by: What told it.
    """

    problem_id: str
    by: MatchedBy


@dataclasses.dataclass(frozen=True, slots=True)
class Unmatched:
    """No problem was found for a sample.

    Attributes:
        reason: A sentence for a human.
    """

    reason: str


class Matcher:
    """Finds the problems of samples.

    Problems are built, and their prompts and tests read, only if a sample cannot be matched by its
    id.

    Args:
        problems: Those that samples may be of.
        name: What their source is called, for messages.
    """

    def __init__(self, problems: ProblemSet, name: str) -> None:
        self._problems = problems
        self._name = name
        self._ids = problems.ids
        self._known = frozenset(self._ids)

    def match(self, sample: Sample) -> Match | Unmatched:
        """The problem of a sample, or why there is none."""
        if sample.problem_id is not None:
            if sample.problem_id in self._known:
                return Match(sample.problem_id, "id")
            spelled = self._by_spelling.get(_folded(sample.problem_id))
            if spelled is not None:
                return Match(spelled, "id")
        if sample.position is not None:
            return self._at(sample.position)
        prompts = list(_prompts_of(sample.prompt))
        for prompt in prompts:
            found = self._by_prompt.get(_digest(prompt.strip()))
            if found is not None:
                return Match(found, "prompt")
        if isinstance(sample.tests, str) and sample.tests in self._known:
            return Match(sample.tests, "id")
        if is_problem_json(sample.tests):
            try:
                named = problem_from_json(sample.tests).id
            except ProblemError:
                named = None
            if named in self._known:
                return Match(str(named), "id")
        if prompts and (shown := self._shown_in(prompts[-1])) is not None:
            return Match(shown, "prompt")
        digest = None if sample.tests is None else _digest_of_tests(sample.tests)
        found = None if digest is None else self._by_tests.get(digest)
        return Match(found, "tests") if found is not None else Unmatched(self._why(sample))

    def _shown_in(self, prompt: str) -> str | None:
        """The only problem whose description or starter code stands in a prompt."""
        within = {
            problem_id: max(found, key=len)
            for problem_id, texts in self._texts
            if (found := [text for text in texts if text in prompt])
        }
        longest = max(within.values(), key=len, default="")
        # Some descriptions are a part of others.
        left = [one for one, text in within.items() if text == longest or text not in longest]
        return left[0] if len(left) == 1 else None

    def _at(self, position: int) -> Match | Unmatched:
        skipped = self._problems.report.skipped
        if skipped:
            return Unmatched(
                f"it is told by its position only, and {len(skipped)} rows of {self._name} "
                f"were skipped, the first at {skipped[0].place}: positions mean nothing"
            )
        if position >= len(self._ids):
            return Unmatched(
                f"it is for the problem at position {position}, and {self._name} has "
                f"{len(self._ids)} problems"
            )
        return Match(self._ids[position], "position")

    def _why(self, sample: Sample) -> str:
        tried = []
        if sample.problem_id is not None:
            near = difflib.get_close_matches(sample.problem_id, self._ids, n=1)
            hint = f" (the nearest is {near[0]!r})" if near else ""
            tried.append(f"the id {sample.problem_id!r}{hint}")
        if sample.prompt is not None:
            tried.append("this prompt")
        if sample.tests is not None:
            tried.append("these tests")
        return f"no problem of {self._name} has {' or '.join(tried) or 'anything that it tells'}"

    @functools.cached_property
    def _by_spelling(self) -> dict[str, str]:
        return _unique((_folded(one), one) for one in self._ids)

    @functools.cached_property
    def _by_prompt(self) -> dict[str, str]:
        return self._index(lambda problem: map(_digest, _shown(problem)))

    @functools.cached_property
    def _texts(self) -> list[tuple[str, list[str]]]:
        """What each problem may be known by in the middle of a prompt."""
        return [
            (
                problem.id,
                [
                    text
                    for text in (problem.description.strip(), problem.starter_code.strip())
                    if len(text) >= _SHORTEST
                ],
            )
            for problem in self._problems
        ]

    @functools.cached_property
    def _by_tests(self) -> dict[str, str]:
        return self._index(lambda problem: filter(None, [_digest_of_problem(problem)]))

    def _index(self, keys: Callable[[Problem], Iterable[str]]) -> dict[str, str]:
        return _unique(
            (key, problem.id) for problem in self._problems for key in set(keys(problem))
        )


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A dictionary of the keys that have a single value."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            twice.add(key)
    return {key: value for key, value in found.items() if key not in twice}


def _folded(name: str) -> str:
    return re.sub(r"\W+", "_", name.casefold())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _shown(problem: Problem) -> Iterator[str]:
    """What a model may have been shown of a problem."""
    texts = [problem.description, problem.starter_code]
    for each in _FORMATS:
        prompt = each.render(problem)
        texts += [prompt.text + prompt.header, prompt.text]
    texts.append(ask(problem))
    yield from filter(None, (text.strip() for text in texts))


def _prompts_of(prompt: str | None) -> Iterator[str]:
    """A prompt as it is, and what the user said last if it is a chat template's text."""
    if prompt is None or not prompt.strip():
        return
    yield prompt
    turns = [turn["text"] for turn in _USER_TURN.finditer(prompt)]
    if turns:
        yield turns[-1]


def after_question(prompt: str) -> str:
    """What a chat template's text has behind the last message of the user; else all of it."""
    turns = list(_USER_TURN.finditer(prompt))
    return prompt[turns[-1].end() :] if turns else prompt


def _digest_of_problem(problem: Problem) -> str | None:
    """A digest of inputs and expected outputs; None where tests are code."""
    pairs: list[tuple[Any, Any]] = []
    for test in problem.tests:
        if isinstance(test, StdinTest):
            pairs.append((test.stdin, test.stdout))
        elif isinstance(test, CallTest) and test.expression is None and not test.kwargs:
            pairs.append((list(test.args), test.expected))
        else:
            return None
    return _digest_of_pairs(pairs)


def _digest_of_tests(tests: Any) -> str | None:
    """The same of a row's tests: ``{"inputs", "outputs"}``, a list of pairs, or JSON of these."""
    if isinstance(tests, str):
        try:
            tests = parse_json(tests)
        except ValueError:
            return None
    if isinstance(tests, list):
        if not all(isinstance(test, dict) and {"input", "output"} <= test.keys() for test in tests):
            return None
        return _digest_of_pairs([(test["input"], test["output"]) for test in tests])
    if not isinstance(tests, dict):
        return None
    inputs, outputs = tests.get("inputs"), tests.get("outputs")
    if not (isinstance(inputs, list) and isinstance(outputs, list)) or len(inputs) != len(outputs):
        return None
    return _digest_of_pairs(list(zip(inputs, outputs, strict=True)))


def _digest_of_pairs(pairs: list[tuple[Any, Any]]) -> str | None:
    if not pairs:
        return None
    try:
        spelled = json.dumps([(_spelled(i), _spelled(o)) for i, o in pairs], default=repr)
    except (TypeError, ValueError, RecursionError):  # keys of other types, endless values
        return None
    return _digest(spelled)


def _spelled(value: Any) -> Any:
    """A value as JSON however it was written: as text, a JSON value a line, in a list of one."""
    if isinstance(value, str):
        lines = [line.strip() for line in value.strip().splitlines()]
        try:
            value = [parse_json(line) for line in lines]
        except ValueError:
            value = lines
    value = _plain(value)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, LinkedList | BinaryTree):
        return _plain(list(value.values))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
