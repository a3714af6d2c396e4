"""`codegym doctor`: what does this machine enforce between a program and itself?"""

from __future__ import annotations

import dataclasses
import importlib.util

from codegym.commands.console import Console
from codegym.commands.options import Common
from codegym.commands.surroundings import Surroundings, look_around
from codegym.execution import LocalExecutor, describe_isolation
from codegym.execution.isolation import require_linux
from codegym.execution.local import IsolationMode
from codegym.grading import Grader
from codegym.problems import CallTest, Problem

__all__ = ["Args", "run"]

_OPTIONAL = {
    "download": ("pooch", "tqdm"),
    "parquet": ("pyarrow",),
    "serve": ("starlette", "uvicorn"),
    "ray": ("ray",),
    "agents": ("torch", "transformers"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(Common):
    """Tries out what this machine enforces, and grades a program.

    The exit status is 0 if everything is enforced that isolation="strict" asks for, and 1 if
    programs run with less.
    """

    python: str | None = None
    """path of the interpreter that programs would run on; default: this one"""


def run(args: Args, console: Console) -> int:
    """The command.

    Args:
        args: The command line.
        console: Where it prints.

    Returns:
        0 if everything is enforced, else 1.

    Raises:
        IsolationError: If this is no Linux.
        WorkerError: If the interpreter cannot be started.
        ExecutionError: If a program could not be run.
    """
    require_linux()
    isolation = describe_isolation(args.python)
    around = look_around(namespaces=isolation.namespaces)
    verdict = _try(args.python)
    extras = {
        extra: all(importlib.util.find_spec(name) is not None for name in names)
        for extra, names in _OPTIONAL.items()
    }
    strict = not isolation.missing
    console.print(str(isolation))
    console.table("surroundings", ("", ""), _rows(around), head=False)
    for note in around.notes:
        console.print(f"- {note}")
    installed = [extra for extra, here in extras.items() if here]
    console.print(f"extras whose packages are installed: {', '.join(installed) or 'none'}")
    console.print(f"a right program was graded: {verdict}")
    console.print(
        'isolation="strict" works here.'
        if strict
        else f'isolation="strict" refuses to start here: {" and ".join(isolation.missing)} cannot '
        'be limited. isolation="auto" runs programs without, and warns.'
    )
    console.json(
        {
            "strict": strict,
            "missing": isolation.missing,
            "isolation": dataclasses.asdict(isolation),
            "surroundings": dataclasses.asdict(around),
            "extras": extras,
            "verdict": verdict,
        }
    )
    return 0 if strict else 1


def _try(python: str | None) -> str:
    """The verdict on a program that is right: the whole way from text to verdict."""
    problem = Problem("double", "Double x.", "", (CallTest((3,), 6),), entry_point="f")
    # What is missing is what this command tells; a warning would say it twice.
    isolation: IsolationMode = "auto" if not describe_isolation(python).missing else "none"
    with (
        LocalExecutor(workers=1, python=python, isolation=isolation) as executor,
        Grader(executor) as grader,
    ):
        return grader.grade(problem, "def f(x):\n    return x + x\n").verdict.value


def _rows(around: Surroundings) -> list[tuple[str, str]]:
    quota = "" if around.cpu_quota is None else f", the time of {around.cpu_quota:g}"
    memory = around.memory_limit
    return [
        ("system", around.system),
        ("user", "root" if around.root else "not root"),
        ("CPUs", f"{around.cpus}{quota}"),
        ("memory limit", "none known" if memory is None else f"{memory / 2**30:.1f} GiB"),
        ("container", around.container or "none found"),
        ("WSL", "no" if around.wsl is None else str(around.wsl)),
        ("Slurm job", around.slurm_job or "none"),
    ]
