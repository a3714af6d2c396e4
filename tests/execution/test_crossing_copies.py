"""What both sides remember of what crossed, and that neither ever sees an old state of it."""

from __future__ import annotations

import json

import pytest

from codegym.execution import ExitReason, TestCode
from codegym.execution.sandbox.tester import crossing
from tests.execution.crossings import crossings

from .conftest import Run


def test_what_nobody_holds_any_more_is_forgotten() -> None:
    tester, candidate = crossings()
    for _ in range(3):
        message = json.loads(json.dumps(tester.pack([[[1], [2]], ({3},)])))
        candidate.unpack(message)
    tester.pack([])
    tester.pack([])
    assert len(tester._shared) == 0
    assert len(candidate._shared) <= 6


def test_a_program_cannot_make_a_test_forget() -> None:
    tester, _ = crossings()
    held = [1]
    ((key,),) = tester.pack([held])["v"]
    tester.unpack({"x": [key, 7], "d": [], "v": []})
    held.append(2)
    message = tester.pack([held])
    assert message["v"] == [[key]]
    assert [items for _, _, _, items in message["d"]] == [[1, 2]]


def test_only_what_changed_goes_again() -> None:
    tester, candidate = crossings()
    held = [[0] * 1000, [1]]
    (copy,) = candidate.unpack(json.loads(json.dumps(tester.pack([held]))))
    held[1].append(2)
    message = tester.pack([held])
    assert [items for _, _, _, items in message["d"]] == [[1, 2]]
    assert candidate.unpack(message)[0] is copy
    assert copy[1] == [1, 2]


MIRRORED = '''
import random

class Store:
    """What a program may do with lists, tuples, dictionaries and sets that it is given."""

    def __init__(self):
        self.kept = []

    def work(self, way, *given):
        if way == "make":
            return [[given[0]], {"k": [given[0]]}, ([given[0]], (given[0], [])), set()]
        if way == "keep":
            self.kept.extend(given)
        if way == "drop":
            del self.kept[: len(self.kept) // 2]
        if way == "change":
            for one in (*self.kept, *given):
                put(one, "program")
        if way == "join":
            return {"joined": list(given), "kept": self.kept[-1:]}
        if way == "inner":
            return [inner for one in given for inner in parts(one)]
        return self.kept[-1] if self.kept and way == "last" else None

def parts(one):
    if isinstance(one, dict):
        return list(one.values())
    return list(one) if isinstance(one, (list, tuple)) else []

def put(one, what):
    if isinstance(one, list):
        one.append(what)
    elif isinstance(one, dict):
        one[len(one)] = [what]
    elif isinstance(one, set):
        one.add(len(one))
    else:
        for inner in one if isinstance(one, tuple) else ():
            put(inner, what)
'''


@pytest.mark.parametrize("seed", range(6))
def test_both_processes_see_what_one_would(seed: int, run: Run) -> None:
    code = f"""{MIRRORED}
here, rng, pairs = Store(), random.Random({seed}), []

def same(a, b, seen):
    if isinstance(a, (list, dict, tuple, set)):
        assert type(a) is type(b) and len(a) == len(b)
        if not isinstance(a, tuple):  # one object here is one object there
            assert seen.setdefault(id(a), id(b)) == id(b)
    if isinstance(a, (list, tuple)):
        for x, y in zip(a, b): same(x, y, seen)
    elif isinstance(a, dict):
        for key in a: same(a[key], b[key], seen)
    else:
        assert a == b

for step in range(120):
    way = rng.choice("make make keep drop change join inner last".split())
    picked = rng.sample(pairs, min(len(pairs), rng.randrange(3)))
    if way == "make":
        got, want = f("make", step), here.work("make", step)
    else:
        got, want = f(way, *[x for x, _ in picked]), here.work(way, *[y for _, y in picked])
    if got is not None or want is not None:
        pairs.append((got, want))
        pairs.extend(zip(parts(got), parts(want)))
    for x, y in rng.sample(pairs, min(len(pairs), rng.randrange(4))):
        put(x, "test"), put(y, "test")
    while len(pairs) > 30:
        del pairs[rng.randrange(len(pairs))]
    seen = {{}}
    for x, y in pairs:
        same(x, y, seen)
    got = want = picked = x = y = None  # nothing but `pairs` holds any
"""
    program = f"{MIRRORED}\nf = Store().work"
    seen = run(program, TestCode(code, "f"))
    assert seen.reason is ExitReason.FINISHED, (seen.error_type, seen.error_message)
    broken = program.replace("one.append(what)", "one.append(what if len(one) < 6 else 0)")
    assert run(broken, TestCode(code, "f")).reason is ExitReason.TEST_FAILED


def test_answers_that_only_the_test_keeps_are_not_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test, program = crossings()
    looked: list[crossing.Shared] = []
    changed = crossing._changed

    def look(one: crossing.Shared) -> bool:
        looked.append(one)
        return changed(one)

    monkeypatch.setattr(crossing, "_changed", look)
    kept = []
    for number in range(200):
        program.unpack(test.pack([[number]]))
        kept += test.unpack(program.pack([[[number], ([number],)]]))
    assert len(looked) < 200 * 20
    kept[0][0].append("changed")
    (outer,) = program.unpack(test.pack([kept[0]]))
    assert outer[0] == [0, "changed"]
