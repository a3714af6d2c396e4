"""Rows made in the formats of data sets that no real row is here of: two numbers are added.

Each is a row as its data set has it, by the loader code that the source's docstring names.
"""

from __future__ import annotations

import json
from typing import Any

READ = "a, b = map(int, input().split())\nprint(a + b)\n"
CALL = "def add(a, b):\n    return a + b\n"
STARTER = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        "
METHOD = STARTER + "return a + b\n"
LISTED: dict[str, Any] = {"inputs": ["1 2\n", "4 5\n", "0 0\n"], "outputs": ["3\n", "9\n", "0\n"]}
CALLED: dict[str, Any] = {"inputs": [[1, 2], [4, 5]], "outputs": [3, 9], "fn_name": "add"}
LINES: dict[str, Any] = {"inputs": ["1\n2", "4\n5"], "outputs": ["3", "9"], "fn_name": "add"}
TASK = "Add two numbers."
PYTEST = """\
from solution import add
import pytest

def test_small():
    assert add(1, 2) == 3

@pytest.mark.parametrize("a,b,c", [(4, 5, 9), (0, 0, 0)])
def test_more(a, b, c):
    assert add(a, b) == c
"""


def pairs(kind: str, field: str = "testtype", **more: Any) -> list[dict[str, Any]]:
    """Tests as a list of objects, of a type that is in a field."""
    calls = kind in ("functional", "function_call")
    tests = LINES if calls and field == "testtype" else CALLED if calls else LISTED
    both = zip(tests["inputs"], tests["outputs"], strict=True)
    return [{"input": i, "output": o, field: kind, **more} for i, o in both]


def message(text: str) -> list[dict[str, str]]:
    """A prompt as chat models take it."""
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def gym(tests: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A row of NeMo Gym."""
    return {
        "responses_create_params": {"input": message(TASK)},
        "verifier_metadata": {"unit_tests": tests},
        "dataset": "open-r1/codeforces",
        **more,
    }


def verl(truth: object, **more: Any) -> dict[str, Any]:
    """A row in verl's format."""
    return {
        "data_source": "taco",
        "prompt": message(TASK),
        "ability": "code",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
        "extra_info": {"split": "train", "index": 0},
        **more,
    }


def intellect(tests: dict[str, Any]) -> dict[str, Any]:
    """A row of INTELLECT-3-RL."""
    info = json.dumps({"tests": json.dumps(tests), "source": "taco"})
    return {"question": TASK, "info": info, "avg@8_qwen3_4b_instruct_2507": 0.5}


def synthetic(cases: object, language: str = "python", **more: Any) -> dict[str, Any]:
    """A row of SYNTHETIC-1 or -2."""
    info = {"language": language, "test_cases": cases}
    return {
        "problem_id": "vfc_1",
        "prompt": f"Solve this in Python.\n{TASK}",
        "task_type": "verifiable_code",
        "verification_info": json.dumps(info),
        **more,
    }


def contest(**changes: Any) -> dict[str, Any]:
    """A row of CodeContests."""
    return {
        "name": "1_A. Sum",
        "description": TASK,
        "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
        "private_tests": {"input": [], "output": []},
        "generated_tests": {"input": ["4 5\n", "0 0\n"], "output": ["9\n", "0\n"]},
        "solutions": {"language": [2, 3, 1], "solution": ["int main(){}", READ, "print 3"]},
        "incorrect_solutions": {"language": [3], "solution": ["print(3)"]},
        "time_limit": {"seconds": 2, "nanos": 0},
        "difficulty": 7,
        "input_file": "",
        "output_file": "",
        **changes,
    }


def codeforces(**changes: Any) -> dict[str, Any]:
    """A row of open-r1's codeforces."""
    tests = [{"input": i, "output": o} for i, o in zip(*list(LISTED.values()), strict=True)]
    return {
        "id": "1/A",
        "title": "Sum",
        "description": TASK,
        "input_format": "Two numbers.",
        "output_format": "Their sum.",
        "note": None,
        "examples": tests[:1],
        "official_tests": tests,
        "official_tests_complete": True,
        "generated_checker": None,
        "interaction_format": None,
        "executable": True,
        "input_mode": "stdio",
        "rating": 800,
        "time_limit": 2.0,
        "memory_limit": 256.0,
        **changes,
    }


def kodcode(**changes: Any) -> dict[str, Any]:
    """A row of KodCode."""
    return {
        "question_id": "Filter_1_I",
        "question": TASK,
        "solution": CALL,
        "test": PYTEST,
        "test_info": [
            {"function_name": "add", "function_declaration": "def add(a, b):", "docstring": ""}
        ],
        "gpt_difficulty": "easy",
        "style": "instruct",
        **changes,
    }


def deepcoder(tests: object, **more: Any) -> dict[str, Any]:
    """A row of DeepCoder's mix."""
    return {"problem": TASK, "tests": json.dumps(tests), **more}


def taco(tests: object, **more: Any) -> dict[str, Any]:
    """A row of TACO."""
    return {
        "question": TASK,
        "solutions": json.dumps([READ]),
        "starter_code": "",
        "input_output": json.dumps(tests),
        "difficulty": "EASY",
        "source": "codeforces",
        "time_limit": "2.0 seconds",
        **more,
    }


READING: dict[str, dict[str, Any]] = {
    "deepcoder": deepcoder(pairs("stdin_stdout", "type")),
    "intellect3": intellect(LISTED),
    "synthetic": synthetic(pairs("stdin_stdout", "type", fn_name=None)),
    "eurus2": verl(LISTED),
    "verl": verl(pairs("stdin")),
    "taco": taco(LISTED),
    "codecontests": contest(),
    "codeforces": codeforces(),
    "nemotron": gym(LISTED, hash_id="ab12"),
}
"""A row of each source whose program reads and prints."""

CALLING: dict[str, tuple[str, dict[str, Any], str]] = {
    "deepcoder, as LiveCodeBench": (
        "deepcoder",
        deepcoder(pairs("functional"), metadata={"func_name": "add"}, starter_code=STARTER),
        METHOD,
    ),
    "deepcoder, as PrimeIntellect": (
        "deepcoder",
        deepcoder(pairs("function_call", "type", fn_name="add")),
        CALL,
    ),
    "deepcoder, as TACO": ("deepcoder", deepcoder(CALLED), CALL),
    "intellect3": ("intellect3", intellect(CALLED), CALL),
    "synthetic, a list": (
        "synthetic",
        synthetic(
            pairs("function_call", "type", fn_name="add"),
            gold_standard_solution=f"```python\n{CALL}```",
        ),
        CALL,
    ),
    "synthetic, texts of arguments": (
        "synthetic",
        synthetic([{"input": "[1, 2]", "output": "3", "type": "function_call", "fn_name": "add"}]),
        CALL,
    ),
    "synthetic, text in text": ("synthetic", synthetic(json.dumps(CALLED)), CALL),
    "synthetic, as repr": (
        "synthetic",
        synthetic([], verification_info=repr({"language": "python", "test_cases": pairs("stdin")})),
        READ,
    ),
    "eurus2": ("eurus2", verl(LINES), CALL),
    "verl": ("verl", verl(CALLED), CALL),
    "taco": ("taco", taco(CALLED, solutions=json.dumps([CALL])), CALL),
    "nemotron": ("nemotron", gym(LINES), CALL),
    "kodcode": ("kodcode", kodcode(), CALL),
    "kodcode, a star": (
        "kodcode",
        kodcode(test=PYTEST.replace("solution import add", "solution import *")),
        CALL,
    ),
    "kodcode, a module": (
        "kodcode",
        kodcode(test="import solution\n\ndef test_it():\n    assert solution.add(1, 2) == 3\n"),
        CALL,
    ),
}
"""More rows: a source, a row of it, and a program that solves it."""
