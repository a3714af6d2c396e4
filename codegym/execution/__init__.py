"""WHAT HAPPENED WHEN IT RAN?

Runs a program on inputs, each in a sandboxed process, and tells what was seen: output or returned
value, exceptions, time, memory, executed lines. It never sees an expected answer.
"""

from __future__ import annotations

from codegym.execution.executor import Executor, FakeExecutor
from codegym.execution.isolation import Isolation, describe_isolation
from codegym.execution.limits import ExecutionLimits
from codegym.execution.local import LocalExecutor
from codegym.execution.packages import installed_packages
from codegym.execution.ray import RayExecutor
from codegym.execution.remote import HTTPExecutor
from codegym.execution.result import (
    Call,
    ExitReason,
    Observation,
    Request,
    Result,
    Stdin,
    TestCode,
)
from codegym.execution.values import (
    EncodedAnswer,
    Iterated,
    Opaque,
    decode_value,
    encode_value,
)

__all__ = [
    "Call",
    "EncodedAnswer",
    "ExecutionLimits",
    "Executor",
    "ExitReason",
    "FakeExecutor",
    "HTTPExecutor",
    "Isolation",
    "Iterated",
    "LocalExecutor",
    "Observation",
    "Opaque",
    "RayExecutor",
    "Request",
    "Result",
    "Stdin",
    "TestCode",
    "decode_value",
    "describe_isolation",
    "encode_value",
    "installed_packages",
]
