"""A program of the problem's own that says whether an answer is right, where several are.

It is a value: nothing is run here. How and where it is run is said in
:mod:`codegym.grading.checking`.
"""

from __future__ import annotations

import ast
import dataclasses
from typing import Literal, get_args

from codegym.errors import ProblemError
from codegym.problems.reading.python_code import parse_python

__all__ = ["CHECK", "Checker", "CheckerForm"]

CheckerForm = Literal["function", "script"]
"""How a checker is written: it defines ``check``, or it reads files and prints."""

CHECK = "check"
"""The name of the function that a checker defines."""

_FUNCTION = f"def {CHECK}(input, output, expected)"


@dataclasses.dataclass(frozen=True, slots=True)
class Checker:
    r"""Says whether an answer is right: Python source that is run for each answer.

    As a ``"function"`` it defines ``check(input, output, expected) -> bool``. For a
    :class:`~codegym.problems.StdinTest` these are three strings. For a
    :class:`~codegym.problems.CallTest`, `input` is the tuple of the arguments, `output` what was
    returned and `expected` what the test says; linked lists and trees are objects of ``ListNode``
    and ``TreeNode``, and an iterator, a view of a dictionary or an array is a list of its items. A
    range stays one.

    As a ``"script"``, the convention of open-r1's ``generated_checker``, it is run as
    ``python checker.py input.txt correct_output.txt solution_output.txt``. An answer is right if it
    prints ``1`` and ends with exit code 0; anything else that it prints, and any other exit code,
    means wrong.

    It must come to such an answer for every output that a program can print or return, however
    odd. If it raises, is killed, exceeds a limit or returns anything but a bool, there is no
    verdict: :attr:`Verdict.JUDGE_ERROR <codegym.grading.Verdict.JUDGE_ERROR>`.

    It is run in a sandboxed process of its own, which sees neither the program nor the parent, and
    may import the standard library and the problem's packages.

    Attributes:
        source: Python source.
        form: ``"function"`` or ``"script"``.

    Raises:
        ProblemError: If `source` is not Python, or defines no ``check`` where it must, or `form`
            is something else.

    Example:
        >>> Checker("def check(input, output, expected):\n    return output in ('1', '2')").form
        'function'
    """

    source: str
    form: CheckerForm = "function"

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            raise ProblemError(
                f"A checker is a str with Python source, got {type(self.source).__name__}."
            )
        if self.form not in get_args(CheckerForm):
            raise ProblemError(
                f"A checker has the form {' or '.join(map(repr, get_args(CheckerForm)))}, got "
                f"{self.form!r:.80}."
            )
        body = parse_python(self.source, what="The source of a checker").body
        if self.form == "function" and not any(map(_defines_check, body)):
            raise ProblemError(
                f"A checker must define {_FUNCTION}, and this source defines no function "
                f"{CHECK!r}. Define it, or say form='script' if it reads files and prints."
            )
        if not body:
            raise ProblemError("The source of a checker is empty. Leave the checker out.")


def _defines_check(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef) and statement.name == CHECK
