"""What one side may say to the other while a test and a program talk to each other."""

from __future__ import annotations

import pytest

from codegym.execution import ExitReason, TestCode
from codegym.execution.sandbox.protocol import code_of
from codegym.execution.sandbox.tester import atoms
from tests.execution.crossings import crossings

from .conftest import Run
from .forge import FORGE


@pytest.mark.parametrize("reason", ["FINISHED", "TEST_FAILED", "TEST_BROKEN", "PRELUDE_FAILED"])
def test_a_program_cannot_speak_for_its_tester(reason: str, run: Run) -> None:
    code = code_of(ExitReason[reason])
    program = (
        FORGE
        + f"""
import gc
for one in gc.get_objects():
    if type(one).__name__ == "Report":
        forge(one, {code!r}, b'{{"type": "x", "message": "", "line": null}}')
import os
os._exit(0)
"""
    )
    seen = run(program, TestCode("assert f() == 1", "f"))
    assert seen.reason is ExitReason.KILLED


HOSTILE = """
import json, os, socket
link = socket.socket(fileno=3)
def send(data): link.sendall(len(data).to_bytes(4, "little") + data)
def receive():
    length = int.from_bytes(link.recv(4), "little")
    return json.loads(link.recv(length))
send(b'{"m": ["ready"], "x": [], "d": [], "v": []}')
receive()
"""
NONSENSE = [
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    b'{"m": [], "x": [], "d": [], "v": []}',
    b'{"m": ["value"], "x": [], "d": [], "v": []}',
    b'{"m": ["value"], "x": [], "d": [], "v": [[1]]}',
    b'{"m": ["value"], "x": [], "d": [], "v": [{"q": 1}]}',
    b'{"m": ["value"], "x": [], "d": [], "v": [{"F": ["0x1", "0x0"]}]}',
    b'{"m": ["value"], "x": [], "d": [[8, "l", "", []]], "v": [[8]]}',
    b'{"m": ["value"], "x": [], "d": [[3, "z", "", []]], "v": [[3]]}',
    b'{"m": ["value"], "x": [], "d": [[3, "d", "", [1]]], "v": [[3]]}',
    b'{"m": ["value"], "x": [], "d": [[3, "s", "", [[3]]]], "v": [[3]]}',
    b'{"m": ["value"], "x": [], "d": [[3, "n", "A", ["__class__", 1]]], "v": [[3]]}',
    b'{"m": ["value"], "x": [], "d": [[3, "t", "a b.c", [1]]], "v": [[3]]}',
    b'{"m": ["value"], "x": [], "d": [[3, "t", "", [[5]]], [5, "t", "", []]], "v": [[3]]}',
    b'{"m": ["error", "again", 2], "x": [], "d": [], "v": []}',
    b'{"m": ["error", "new", {}], "x": [], "d": [], "v": []}',
    b'{"m": ["error", "new", {"classes": [["builtins", "exit"]], "args": 0, "names": [],'
    b' "text": "", "key": 1, "type": "", "message": "", "line": 1}], "x": [], "d": [], "v": []}',
    b'{"m": ["call", 2, []], "x": [], "d": [], "v": []}',
    b'{"m": ["call", 0, []], "x": [], "d": [], "v": []}',
    b'{"m": ["next", 2, []], "x": [], "d": [], "v": []}',
]


@pytest.mark.parametrize("message", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_on_the_socket_reaches_nothing(message: bytes, run: Run) -> None:
    program = f"{HOSTILE}\nsend({message!r})\nos._exit(0)"
    seen = run(program, TestCode("try: f([])\nexcept BaseException: pass", "f"))
    assert seen.reason is ExitReason.KILLED, seen


def test_only_ones_own_functions_can_be_asked_for() -> None:
    tester, _ = crossings()
    (theirs,) = tester.unpack({"x": [], "d": [[3, "c", "", []]], "v": [[3]]})
    ((key,), known) = tester.pack([lambda: 1, theirs])["v"]
    assert known == [3]
    assert tester.owned(key, "c")() == 1
    for asked, kinds in ((key, "g"), (3, "c"), (key + 2, "c"), (str(key), "c")):
        with pytest.raises(ValueError, match=str(asked)):
            tester.owned(asked, kinds)


@pytest.mark.parametrize("key", [0, 1, 4, -3, True, "3", 3.0])
def test_the_other_side_names_what_is_new_by_keys_of_its_own(key: object) -> None:
    tester, _ = crossings()
    with pytest.raises(ValueError, match="key"):
        tester.unpack({"x": [], "d": [[key, "l", "", []]], "v": []})


@pytest.mark.parametrize("name", ["__class__", "__doc__", "a b", ""])
def test_only_plain_names_become_attributes(name: str) -> None:
    tester, _ = crossings()
    with pytest.raises(ValueError, match="no name of an attribute"):
        tester.unpack({"x": [], "d": [[3, "n", "A", [name, 1]]], "v": [[3]]})


def test_what_is_known_stays_of_its_kind() -> None:
    tester, _ = crossings()
    held = [1]
    ((key,),) = tester.pack([held])["v"]
    for kind in "dstn":
        with pytest.raises(ValueError, match="another kind"):
            tester.unpack({"x": [], "d": [[key, kind, "", []]], "v": []})
    assert held == [1]


def test_numpys_bool_is_no_bool() -> None:
    value = atoms.decode("n", 1, functions=False)
    assert value == True  # noqa: E712 (this is the promise)
    assert value is not True
    assert repr(value) == "True"
