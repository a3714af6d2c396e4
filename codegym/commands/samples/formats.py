"""The rows of the field's files: what tells a format, and how a row of it is read.

What is read here are the values of single rows; files are the matter of
:mod:`codegym.commands.samples.files`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from codegym.commands.samples.sample import Form, Sample, Written
from codegym.errors import ProblemError
from codegym.grading.verdict import Verdict

__all__ = [
    "EVALPLUS_RESULTS",
    "LISTS",
    "ROW_FORMATS",
    "Format",
    "RowFormat",
    "read_evalplus_result",
    "read_lists",
]

_IDS = ("task_id", "problem_id", "question_id", "id")
_LOGGED = ("pass_ratio", "acc")  # by codegym's own rewards, beside the score
_STATUS = {"pass": 1.0, "passed": 1.0, "fail": 0.0, "failed": 0.0, "timeout": 0.0}

Fields = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Attributes:
        name: Whose format it is.
        described: What a file of it holds, for messages.
        score: The column of the grader, where the format names it; else None.
    """

    name: str
    described: str
    score: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat(Format):
    """A kind of file that is told by the rows in it.

    Attributes:
        fits: Whether a row is of this format, by the names of its fields.
        read: The samples of a row at a place; raises a ProblemError if a field does not hold what
            it should.
    """

    fits: Callable[[Fields], bool]
    read: Callable[[Fields, str], Iterator[Sample]]


def _human_eval(row: Fields, where: str) -> Iterator[Sample]:
    whole = row.get("solution") is not None
    yield Sample(
        where,
        _text(row, "solution" if whole else "completion"),
        Form.PROGRAM if whole else Form.COMPLETION,
        problem_id=_id(row, "task_id"),
        scores=_numbers(row, only=("passed",)),
    )


def _live_code_bench(row: Fields, where: str) -> Iterator[Sample]:
    programs, old = row["code_list"], row.get("graded_list")
    if not isinstance(programs, list):
        raise ProblemError(f"'code_list' must be a list of programs, got {programs!r:.60}")
    if old is not None and (not isinstance(old, list) or len(old) != len(programs)):
        raise ProblemError("'graded_list' must have an entry for each program of 'code_list'")
    for number, program in enumerate(programs):
        yield Sample(
            f"{where}, program {number + 1}",
            _is_text(program, f"code_list[{number}]"),
            Form.PROGRAM,
            problem_id=_id(row, "question_id"),
            scores={} if old is None else {"graded_list": _number(old[number])},
        )


def read_evalplus_result(row: Fields, where: str) -> Iterator[Sample]:
    """The sample of an entry of evalplus's results, with the status of both of its test sets."""
    yield Sample(
        where,
        _text(row, "solution"),
        Form.PROGRAM,
        problem_id=_id(row, "task_id"),
        scores=_numbers(row, only=("base_status", "plus_status")),
    )


def _verl(row: Fields, where: str) -> Iterator[Sample]:
    yield Sample(
        where,
        _text(row, "output"),
        Form.ANSWER,
        problem_id=_optional_id(row),
        prompt=_text(row, "input"),
        continues=True,
        tests=row.get("gts"),
        scores=_numbers(row, but=("step", *_LOGGED, *_IDS)),
        step=_step(row),
        verdict=_verdict(row),
    )


def _trl(row: Fields, where: str) -> Iterator[Sample]:
    yield Sample(
        where,
        _last(row["completion"], "assistant", "completion"),
        Form.ANSWER,
        problem_id=_optional_id(row),
        prompt=_last(row["prompt"], "user", "prompt"),
        continues=isinstance(row["prompt"], str),
        scores=_numbers(row, but=("step", "advantage", *_LOGGED, *_IDS)),
        step=_step(row),
        verdict=_verdict(row),
        advantage=_number(row.get("advantage")),
    )


def _verifiers(row: Fields, where: str) -> Iterator[Sample]:
    traces = row["traces"]
    if not isinstance(traces, list):
        raise ProblemError(f"'traces' must be a list, got {traces!r:.60}")
    for number, trace in enumerate(traces):
        task = _object(_object(trace, f"traces[{number}]").get("task", row.get("task")), "task")
        data = _object(task.get("data"), "task.data")
        prompt = data.get("prompt")
        yield Sample(
            where if len(traces) == 1 else f"{where}, trace {number + 1}",
            _reply(trace, number),
            Form.ANSWER,
            problem_id=_optional_id(data) or _optional_id({"id": data.get("name")}),
            prompt=None if prompt is None else _last(prompt, "user", "task.data.prompt"),
            scores=_rewards(trace.get("rewards") or {}),
            written=_written(trace.get("nodes")),
        )


def _reply(trace: Fields, number: int) -> str:
    """What the agent said last."""
    if isinstance(trace.get("root_reply"), str):
        return str(trace["root_reply"])
    nodes = trace.get("nodes")
    for node in reversed(nodes if isinstance(nodes, list) else []):
        message = _object(_object(node, "a node").get("message"), "a message")
        if message.get("role") == "assistant":
            return _content(message.get("content") or "", f"traces[{number}]")
    raise ProblemError(f"traces[{number}] has no message of an assistant")


def _written(nodes: Any) -> Written | None:
    """The tokens of the branch of what the agent said last; None if they are not there, or odd."""
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        return None
    last = next((k for k in reversed(range(len(nodes))) if _says(nodes[k])), None)
    branch: list[Fields] = []
    while isinstance(last, int) and 0 <= last < len(nodes) and len(branch) < len(nodes):
        branch.insert(0, nodes[last])
        last = nodes[last].get("parent")
    ids: list[int] = []
    mask: list[bool] = []
    numbers: dict[str, list[float | None]] = {"logprobs": [], "advantages": []}
    for node in branch:
        tokens, may = node.get("token_ids") or [], node.get("mask") or []
        if len(tokens) != len(may) or not all(type(token) is int for token in tokens):
            return None
        ids += tokens
        mask += map(bool, may)
        for name, values in numbers.items():
            given = iter(node.get(name) or [])
            values += [_number(next(given, None)) if learned else None for learned in may]
    if not any(mask):
        return None
    start = mask.index(True)
    told = {name: values[start:] for name, values in numbers.items() if any(map(_is_there, values))}
    return Written(ids, start, mask[start:], told)


def _says(node: Fields) -> bool:
    message = node.get("message")
    return isinstance(message, dict) and message.get("role") == "assistant"


def _is_there(value: float | None) -> bool:
    return value is not None


def _rewards(rewards: Any) -> dict[str, float | None]:
    found = _object(rewards, "rewards")
    return {
        name: _number(value.get("score") if isinstance(value, dict) else value)
        for name, value in found.items()
    }


ROW_FORMATS: Sequence[RowFormat] = (
    RowFormat(
        "human-eval or evalplus",
        "JSON lines with 'task_id' and 'completion' (continues the prompt) or 'solution' (whole)",
        score="passed",
        fits=lambda row: "task_id" in row and ("completion" in row or "solution" in row),
        read=_human_eval,
    ),
    RowFormat(
        "LiveCodeBench",
        "a JSON list of objects with 'question_id' and 'code_list'",
        score="graded_list",
        fits=lambda row: {"question_id", "code_list"} <= row.keys(),
        read=_live_code_bench,
    ),
    RowFormat(
        "verl",
        "JSON lines with 'input', 'output', 'gts' and 'score', a file a step",
        score="score",
        fits=lambda row: {"input", "output", "score"} <= row.keys(),
        read=_verl,
    ),
    RowFormat(
        "verifiers",
        "traces.jsonl, an episode with 'traces' a line",
        fits=lambda row: "traces" in row,
        read=_verifiers,
    ),
    RowFormat(
        "TRL",
        "parquet with 'prompt' and 'completion', or JSON lines with both",
        fits=lambda row: {"prompt", "completion"} <= row.keys(),
        read=_trl,
    ),
)
"""Formats that are told by the names of a row's fields; the first that fits counts."""

EVALPLUS_RESULTS = Format(
    "evalplus results", "a JSON object with 'eval', which has lists of samples by task id"
)
LISTS = Format(
    "bigcode-evaluation-harness",
    "a JSON list with a list of programs for each problem, in the source's order",
)


def read_lists(value: Any, index: int, where: str) -> Iterator[Sample]:
    """The samples of one problem in bigcode-evaluation-harness's list of lists.

    Args:
        value: The inner list, whole programs.
        index: Its position, which is the problem's in its source.
        where: Its place, for messages.

    Raises:
        ProblemError: If it is not a list of texts.
    """
    if not isinstance(value, list):
        raise ProblemError(f"must be a list of programs, got {value!r:.60}")
    for number, program in enumerate(value):
        place = f"{where}, program {number + 1}"
        yield Sample(place, _is_text(program, place), Form.PROGRAM, position=index)


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ProblemError(f"{name} must be an object, got {value!r:.60}")
    return value


def _text(row: Fields, name: str) -> str:
    return _is_text(row.get(name), repr(name))


def _is_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ProblemError(f"{name} must be text, got {value!r:.60}")
    return value


def _id(row: Fields, name: str) -> str:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ProblemError(f"{name!r} must be text or a number, got {value!r:.60}")
    return str(value)


def _step(row: Fields) -> int | None:
    step = row.get("step")
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def _verdict(row: Fields) -> str | None:
    verdict = row.get("verdict")
    return verdict if isinstance(verdict, str) and verdict in list(Verdict) else None


def _optional_id(row: Fields) -> str | None:
    for name in _IDS:
        value = row.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    return None


def _last(value: Any, role: str, name: str) -> str:
    """A text, or of a conversation the last message of a role."""
    if isinstance(value, list):
        for message in reversed(value):
            if isinstance(message, dict) and message.get("role") == role:
                return _content(message.get("content") or "", name)
        raise ProblemError(f"{name!r} has no message of the role {role!r}")
    return _is_text(value, repr(name))


def _content(value: Any, name: str) -> str:
    """The text of a message, which may come in parts."""
    if isinstance(value, list):
        return "".join(str(part.get("text") or "") for part in value if isinstance(part, dict))
    return _is_text(value, name)


def _numbers(
    row: Fields, *, only: Sequence[str] | None = None, but: Sequence[str] = ()
) -> dict[str, float | None]:
    """The columns of a row that can be a grader's score."""
    names = [name for name in row if (only is None or name in only) and name not in but]
    return {
        name: _number(row[name])
        for name in names
        if row[name] is None
        or isinstance(row[name], bool | int | float)
        or (isinstance(row[name], str) and row[name] in _STATUS)
    }


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return _STATUS.get(value)
    if not isinstance(value, bool | int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int beyond what a float can be
        return math.inf if value > 0 else -math.inf
    return None if math.isnan(number) else number
