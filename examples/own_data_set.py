"""A data set of your own: rows in a file, one source that reads them, and an episode on them.

Run it with ``python examples/own_data_set.py``. A data set that others are to use is a module with
the part between ``_parse`` and ``register_source``; see ``docs/adding_a_source.md``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import gymnasium

import codegym
from codegym.envs import CodeEnv
from codegym.errors import ProblemError
from codegym.problems import CallTest, Problem, Row, Source, hash_split, register_source

ROWS = [
    {
        "name": "double",
        "task": "Return twice the number.",
        "solution": "def double(x):\n    return 2 * x\n",
        "cases": [[[1], 2], [[-4], -8]],
    },
    {
        "name": "longer",
        "task": "Return the longer of two texts, the first if they are equally long.",
        "solution": "def longer(a, b):\n    return a if len(a) >= len(b) else b\n",
        "cases": [[["a", "bc"], "bc"], [["hi", "ho"], "hi"]],
    },
    {"name": "forgotten", "task": "Return nothing.", "solution": "", "cases": []},
]


def _parse(row: Row) -> Problem:
    """Makes a problem of a row; a ProblemError says why there is none, and the row is skipped."""
    cases = row.first("cases")
    if not cases:
        raise ProblemError("'cases' has no test")
    solution = row.text("solution")
    return Problem(
        id=f"mine/{row.text('name')}",
        description=row.text("task"),
        canonical_solution=solution,
        tests=tuple(CallTest(tuple(args), expected) for args, expected in cases),
        starter_code=solution.splitlines()[0] + "\n",
        entry_point=row.text("name"),
    )


register_source(
    Source(
        name="mine",
        expected="JSON lines with 'name', 'task', 'solution' and 'cases'",
        splits=("train", "validation", "test"),
        parse=_parse,
        id_fields=("name",),
        row_splits=lambda row: (hash_split(row.text("task")),),
    )
)
gymnasium.register("CodeGen-Mine-v0", "codegym.envs:CodeEnv", kwargs={"source": "mine"})


def main() -> None:
    """Writes the rows to a file, loads them, and writes the reference solution in an episode."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        print(codegym.load_problems("mine", data=path).report)
        env = gymnasium.make("CodeGen-Mine-v0", data=path, disable_env_checker=True)
        code_env = env.unwrapped
        assert isinstance(code_env, CodeEnv)
        _, info = env.reset(seed=0)
        problem = code_env.problems.by_id(info["problem_id"])
        rest = problem.canonical_solution.removeprefix(problem.starter_code)
        for token in [*code_env.tokenizer.encode(rest), code_env.tokenizer.end_id]:
            _, reward, _, _, info = env.step(token)
        passed = f"{info['tests_passed']} of {info['tests_total']} tests passed"
        print(f"{problem.id}: {info['verdict']}, {passed}, reward {reward}")
        env.close()


if __name__ == "__main__":
    main()
