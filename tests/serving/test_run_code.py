"""`/run_code` answers as SandboxFusion does."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

from codegym.errors import WorkerError
from codegym.execution import ExitReason, FakeExecutor, Observation, Request
from tests.serving.asking import ask, post


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def run_code(url: str, code: str, **fields: Any) -> dict[str, Any]:
    fields = {"run_timeout": 600} | fields
    status, answer = post(url, "/run_code", code=code, language="python", **fields)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize(
    ("code", "status", "return_code", "stdout", "stderr"),
    [
        ("print(input())", "Success", 0, "some text\n", ""),
        ("print('a', end='')", "Success", 0, "a", ""),
        ("import sys\nprint(1)\nsys.exit(3)", "Failed", 3, "1\n", ""),
        ("import os\nos._exit(4)", "Failed", 4, "", ""),
        ("print(2)\n1 / 0", "Failed", 1, "2\n", "ZeroDivisionError: division by zero\n"),
        ("print(3)\ndef", "Failed", 1, "", "line 2\nSyntaxError: invalid syntax\n"),
        ("import sys\nsys.stderr.write('no')", "Success", 0, "", "no"),
        ("import ctypes\nctypes.string_at(0)", "Failed", -11, "", ""),
    ],
)
def test_what_a_program_does(
    url: str, code: str, status: str, return_code: int, stdout: str, stderr: str
) -> None:
    answer = run_code(url, code, stdin="some text")
    result = answer["run_result"]
    assert answer["status"] == status
    assert answer["message"] == ""
    assert answer["compile_result"] is None
    assert answer["executor_pod_name"] is None
    assert answer["files"] == {}
    assert (result["status"], result["return_code"]) == ("Finished", return_code)
    assert result["stdout"] == stdout
    assert result["stderr"].endswith(stderr)
    assert bool(result["stderr"]) == bool(stderr)
    assert result["execution_time"] >= 0


def test_a_time_limit_has_no_exit_code(url: str) -> None:
    answer = run_code(url, "print(1, flush=True)\nwhile True: pass", run_timeout=2)
    assert answer["status"] == "Failed"
    assert answer["run_result"]["status"] == "TimeLimitExceeded"
    assert answer["run_result"]["return_code"] is None
    assert answer["run_result"]["stdout"] == "1\n"


def test_a_traceback_begins_in_the_program(url: str) -> None:
    answer = run_code(url, "def f():\n    return 1 / 0\n\nf()\n")
    first, *lines = answer["run_result"]["stderr"].splitlines()
    assert first == "Traceback (most recent call last):"
    frames = [line for line in lines if line.lstrip().startswith("File ")]
    assert [frame.partition(",")[2] for frame in frames] == [
        " line 4, in <module>",
        " line 2, in f",
    ]
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_memory_limit(url: str) -> None:
    answer = run_code(url, "x = bytearray(10**9)", memory_limit_MB=64)
    assert answer["status"] == "Failed"
    assert answer["run_result"]["return_code"] != 0
    assert "MemoryError" in answer["run_result"]["stderr"]


def test_a_flood_of_output_is_a_failure_that_says_so(url: str) -> None:
    answer = run_code(url, "print('x' * 2**24)")
    assert answer["status"] == "Failed"
    assert "printed more than 8 MiB" in answer["run_result"]["stderr"]


def test_files_are_there_and_can_be_imported_and_fetched(url: str) -> None:
    code = (
        "from tools.helper import twice\n"
        "open('out.bin', 'wb').write(twice(open('data/in.bin', 'rb').read()))\n"
    )
    answer = run_code(
        url,
        code,
        files={
            "tools/helper.py": base64_of(b"def twice(x): return x + x\n"),
            "./data/in.bin": base64_of(b"\x00\xff"),
            "left/out.txt": None,
            "IGNORE_THIS_FILE/a": "?",
        },
        fetch_files=["./out.bin", "data/in.bin", "none.txt", "left/out.txt"],
    )
    assert answer["status"] == "Success"
    assert answer["files"] == {
        "./out.bin": base64_of(b"\x00\xff\x00\xff"),
        "data/in.bin": base64_of(b"\x00\xff"),
    }


def test_a_file_that_is_named_twice_in_one_way_is_answered_once(url: str) -> None:
    answer = run_code(url, "open('a', 'w').write('x')", fetch_files=["./a", "./a"])
    assert answer["files"] == {"./a": base64_of(b"x")}


def test_fetched_files_are_bounded_together(url: str) -> None:
    code = (
        "import os\n"
        "with open('x', 'wb') as file: file.write(bytes(2**22))\n"
        "for n in range(9): os.link('x', f'x{n}')\n"
    )
    names = [f"x{n}" for n in range(9)]
    answer = run_code(url, code, fetch_files=names)
    assert (answer["status"], answer["files"]) == ("Failed", {})
    assert "more than 32 MiB in the files of fetch_files" in answer["run_result"]["stderr"]
    answer = run_code(url, code, fetch_files=names[:8])
    assert answer["status"] == "Success"
    assert list(answer["files"]) == names[:8]


def test_a_second_program_finds_no_files_of_the_first(url: str) -> None:
    run_code(url, "open('mine', 'w').write('x')", files={"given": base64_of(b"x")})
    assert run_code(url, "import os\nprint(os.listdir())")["run_result"]["stdout"] == "[]\n"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"language": "cpp"}, "language must be 'python', got 'cpp'"),
        ({"language": None}, "language must be 'python'"),
        ({"code": 5}, "code must be text"),
        ({"stdin": ["a"]}, "stdin must be text or null"),
        ({"run_timeout": "ten"}, "run_timeout must be a number"),
        ({"run_timeout": 0}, "run_timeout must be more than 0"),
        ({"run_timeout": 10**6}, "at most 600 for cpu_seconds"),
        ({"run_timeout": float("nan")}, "run_timeout must be a number"),
        ({"memory_limit_MB": float("inf")}, "memory_limit_MB must be a number"),
        ({"memory_limit_MB": 10**400}, "memory_limit_MB must be a number"),
        ({"memory_limit_MB": True}, "memory_limit_MB must be a number"),
        ({"memory_limit_MB": 10**6}, "for memory_bytes"),
        ({"files": []}, "files must be an object"),
        ({"files": {"a": "é"}}, "must be base64"),
        ({"files": {"../a": ""}}, "below the program's folder"),
        ({"files": {"/etc/a": ""}}, "below the program's folder"),
        ({"files": {"a": "", "a/b": ""}}, "as a file and as a folder"),
        ({"fetch_files": [1]}, "fetch_files must be a list"),
        ({"fetch_files": ["/etc/passwd"]}, "below the program's folder"),
        ({"fetch_files": ["./" * n + "a" for n in range(300)]}, "'a' as 'a' and as './a'"),
        ({"fetch_files": ["b", "d/../b"]}, "'b' as 'b' and as 'd/../b'"),
    ],
)
def test_what_has_no_meaning_is_refused(url: str, fields: dict[str, Any], complaint: str) -> None:
    whole = {"language": "python", "code": "print(1)"} | fields
    answer = httpx2.post(f"{url}/run_code", content=json.dumps(whole), timeout=None)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    status, answer = ask(FakeExecutor(lambda _: []), "/run_code", body)
    assert status == 422
    assert "must be a JSON object" in answer["detail"]


@pytest.mark.parametrize("path", ["/run_code", "/grade", "/execute"])
@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
def test_a_body_in_another_encoding_is_refused(path: str, encoding: str) -> None:
    values = json.dumps(["\u2200", *[[]] * 20, "\u2200"], ensure_ascii=False)
    body = f'{{"language": "python", "code": "", "more": {values}}}'.encode(encoding)
    executor = FakeExecutor(lambda _: [Observation(ExitReason.FINISHED)])
    status, answer = ask(executor, path, body)
    assert status == 422
    if path != "/execute":  # whose message says what such a request comes from
        assert "encoded in UTF-8 without a byte order mark" in answer["detail"]
    assert not executor.requests


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    body = b'{"language": "python", "code": "\xed\xa0\x80"}'
    status, answer = ask(FakeExecutor(lambda _: []), "/run_code", body)
    assert status == 422
    assert "encoded in UTF-8" in answer["detail"]


def test_a_failure_of_ours_is_a_sandbox_error_and_no_result() -> None:
    def fail(_: Request) -> list[Observation]:
        raise WorkerError("A worker died.")

    body = {"language": "python", "code": ""}
    status, answer = ask(FakeExecutor(fail), "/run_code", body)
    assert status == 200
    assert (answer["status"], answer["message"]) == ("SandboxError", "A worker died.")
    assert answer["run_result"] is None


def test_a_fault_in_our_code_is_no_result_either(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Request) -> list[Observation]:
        raise AssertionError("a bug")

    body = {"language": "python", "code": ""}
    status, answer = ask(FakeExecutor(fail), "/run_code", body)
    assert status == 500
    assert "a bug" in answer["detail"]
    assert "fault of codegym" in caplog.text


def test_defaults_are_those_of_sandbox_fusion() -> None:
    executor = FakeExecutor(lambda _: [Observation(ExitReason.FINISHED)])
    status, _ = ask(executor, "/run_code", {"language": "python", "code": "x"})
    assert status == 200
    (request,) = executor.requests
    assert request.limits.wall_seconds == request.limits.cpu_seconds == 10
    assert request.limits.memory_bytes == 2**30
    assert not request.coverage


def test_pages_in_browsers_run_nothing(url: str) -> None:
    body = {"language": "python", "code": "print(1)"}
    answer = httpx2.post(f"{url}/run_code", json=body, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "browser" in answer.text
    assert httpx2.post(f"{url}/run_code", json=body).status_code == 200
