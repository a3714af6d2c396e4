"""verl and tinker-cookbook change a URL, and go on.

The client here sends what theirs do, field by field (verl 0.9.1, tinker-cookbook 0.6.1). Their own
is run where it is installed, from its file: importing the packages would load all that they train
with.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

from codegym.execution import installed_packages

ADD = "a, b = map(int, input().split())\nprint(a + b)\n"
TESTS = {"inputs": ["1 2", "3 4"], "outputs": ["3\n", "7\n"]}
IN_VERL = [
    (ADD, [True, True]),
    ("print(3)", [True, False]),
    ("print(input().split()[5])", [-2, -2]),
    ("while True: pass", [-3, -3]),
    ("def", [-2, -2]),
]
"""Programs, and what verl makes of them: right or wrong, -2 runtime error, -3 time limit."""


def as_verl(url: str, code: str, stdin: str | None, timeout: int) -> dict[str, Any]:
    """What `verl.utils.reward_score.sandbox_fusion` posts."""
    payload = {
        "compile_timeout": timeout,
        "run_timeout": timeout,
        "code": code,
        "stdin": stdin,
        "memory_limit_MB": 1024,
        "language": "python",
        "files": {},
        "fetch_files": [],
    }
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    response = httpx2.post(
        f"{url}/run_code", headers=headers, content=json.dumps(payload), timeout=None
    )
    response.raise_for_status()
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def verl_says(answer: dict[str, Any], expected: str) -> bool | int:
    """What verl reads from an answer."""
    result = answer["run_result"]
    if answer["status"] == "Success" and result["status"] == "Finished":
        return bool(result["stdout"].rstrip("\n") == expected.rstrip("\n"))
    if answer["status"] == "Failed" and result:
        return -3 if result["status"] == "TimeLimitExceeded" else -2
    return -1


@pytest.mark.parametrize(("code", "expected"), IN_VERL)
def test_what_verl_sends(url: str, code: str, expected: list[Any]) -> None:
    pairs = zip(TESTS["inputs"], TESTS["outputs"], strict=True)
    seconds = 1 if "while" in code else 600
    said = [verl_says(as_verl(url, code, stdin, seconds), output) for stdin, output in pairs]
    assert said == expected


def test_what_verl_sends_without_input(url: str) -> None:
    answer = as_verl(url, "import sys\nprint(repr(sys.stdin.read()))", None, 600)
    assert answer["run_result"]["stdout"] == "''\n"


def module_of(package: str, path: str) -> ModuleType:
    """A file of a package that is installed, without the rest of it."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    file = Path(found.submodule_search_locations[0], path)
    spec = importlib.util.spec_from_file_location(f"{package}_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("code", "expected"), [one for one in IN_VERL if "while" not in one[0]])
def test_verls_own_client(url: str, code: str, expected: list[Any]) -> None:
    pytest.importorskip("requests", reason="requests, which verl uses, is not installed")
    verl = module_of("verl", "utils/reward_score/sandbox_fusion/utils.py")
    said, _ = verl.check_correctness(f"{url}/run_code", TESTS, code, 600)
    assert said == expected


def test_verls_own_client_calls_a_function(url: str) -> None:
    pytest.importorskip("requests", reason="requests, which verl uses, is not installed")
    verl = module_of("verl", "utils/reward_score/sandbox_fusion/utils.py")
    tests = {"inputs": ["[1, 2]\n3"], "outputs": ["[1, 2, 3]"], "fn_name": "with_one"}
    code = "class Solution:\n    def with_one(self, items, one):\n        return items + [one]\n"
    said, _ = verl.check_correctness(f"{url}/run_code", tests, code, 600)
    assert said == [True]


CHECK = """\
import json
import sys

from judge import passes

with open('cases.txt') as file:
    cases = json.load(file)
with open('code.py') as file:
    code = file.read()
sys.exit(0 if all(passes(code, *case) for case in cases) else -1)
"""
JUDGE = """\
import io
import signal
import sys

signal.signal(signal.SIGALRM, lambda *_: 1 / 0)

def passes(code, given, expected):
    signal.alarm(60)
    sys.stdin, sys.stdout = io.StringIO(given), io.StringIO()
    exec(code, {})
    said, sys.stdout = sys.stdout.getvalue(), sys.__stdout__
    signal.alarm(0)
    return said == expected
"""


@pytest.mark.parametrize(("code", "succeeds"), [(ADD, True), ("print(3)", False), ("1/0", False)])
def test_what_tinker_cookbook_sends(url: str, code: str, succeeds: bool) -> None:
    cases = list(zip(TESTS["inputs"], TESTS["outputs"], strict=True))
    files = {"cases.txt": json.dumps(cases), "code.py": code, "judge.py": JUDGE}
    payload = {
        "code": CHECK,
        "language": "python",
        "run_timeout": 600,
        "files": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()},
    }
    response = httpx2.post(f"{url}/run_code", json=payload, timeout=None)
    assert response.status_code == 200
    assert (response.json()["status"] == "Success") is succeeds


@pytest.mark.parametrize(
    ("tests", "code", "passes"),
    [
        ({}, ADD, True),
        ({}, "print(3)", False),
        ({}, "while True: pass", False),
        ({"fn_name": "f"}, "def f(x): return [x]", True),
        ({"fn_name": "f"}, "class Solution:\n    def f(self, x): return x + 1", False),
    ],
)
def test_tinker_cookbooks_own_client(
    url: str, tests: dict[str, str], code: str, passes: bool
) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp, which tinker-cookbook uses, is not installed")
    if not installed_packages(("numpy",)):
        pytest.skip("numpy, which its test code imports, is not installed for programs")
    fusion = module_of("tinker_cookbook", "sandbox/sandboxfusion.py")
    livecodebench = module_of("tinker_cookbook", "recipes/code_rl/lcb_utils.py")
    cases = {"inputs": ["5"], "outputs": ["[5]"]} if tests else TESTS
    files = {
        "test_cases.txt": json.dumps({"input_output": json.dumps(cases | tests)}),
        "code.py": code,
        "testing_util.py": livecodebench.TEST_UTIL,
    }

    async def ask() -> tuple[bool, dict[str, Any]]:
        client = fusion.SandboxFusionClient(f"{url}/run_code")
        try:
            main = livecodebench.TEST_CODE % {"timeout": 1 if "while" in code else 600}
            said: tuple[bool, dict[str, Any]] = await client.run(main, files, 600)
            return said
        finally:
            await client.close()

    passed, answer = asyncio.run(ask())
    assert answer["run_result"]["status"] == "Finished", answer
    assert passed is passes, answer
