"""A statement that was never reached has mask 0, wherever it stands; one that was reached has 1.

Every kind of statement, on each interpreter that is here. By hand, and on generated programs
against the oracle in `recorded.py`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from codegym.execution import Call, LocalExecutor, Observation, Request
from codegym.masks import executed_bytes
from codegym.programs import ExecutedLines, Program
from tests.execution.conftest import find_python

from . import generated, recorded

Observe = Callable[..., list[Observation]]


@pytest.fixture(scope="module", params=["3.11", "3.12", "3.13"])
def observe(request: pytest.FixtureRequest) -> Iterator[Observe]:
    """Runs a program's `f` on each of some arguments, on each interpreter that is here."""
    python = find_python(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} on this machine")
    with LocalExecutor(workers=1, python=python) as executor:

        def run(program: str, *arguments: int) -> list[Observation]:
            calls = tuple(Call((one,)) for one in arguments)
            return list(executor.run(Request(program, calls, "f")).observations)

        run.version = tuple(map(int, request.param.split(".")))  # type: ignore[attr-defined]
        yield run


def in_a_function(*lines: str) -> str:
    return "def f(n):\n" + "".join(f"    {line}\n" for line in lines)


# What stands between « and » is never reached by f(1), or is no statement; all else is.
BODIES = {  # one statement for each kind
    "expression": "n",
    "call": "print(end='')",
    "constant": "1",
    "text": "'text'",
    "ellipsis": "...",
    "assignment": "x = n",
    "unpacking": "x, *y = 1, 2, 3",
    "item": "x = {}; x[1] = 2",
    "augmented": "n += 1",
    "annotated": "x: int = 1",
    "walrus": "(x := n)",
    "pass": "pass",
    "assert": "assert n",
    "assert that always holds": "assert True",
    "del": "x = 1; del x",
    "import": "import math",
    "import from": "from math import pi",
    "raise": "raise ValueError",
    "return": "return",
    "return a value": "return n",
    "return a constant": "return 0",
    "lambda": "x = lambda: 1",
    "comprehension": "x = [i for i in range(2)]",
    "generator": "x = (i for i in range(2))",
    "conditional": "x = 1 if n else 2",
    "formatted": "x = f'{n}:{n!r:>{n}}'",
    "over lines": "x = (n,\n            n)",
    "text over lines": "x = '''\n  a: b; c\n'''",
    "continued": "x = n + \\\n        1",
    "beyond ascii": "x = 'é'; y = 'ü'",
}
HEADERS = {  # a header whose body is never reached
    "if": "if n > 1: «{}»",
    "elif": "if n > 1: «pass»\n    elif n > 2: «{}»",
    "else": "if n: pass\n    «else: {}»",
    "for": "for i in []: «{}»",
    "else of for": "for i in [1]: break\n    «else: {}»",
    "while": "while n > 1: «{}»",
    "else of while": "while n: break\n    «else: {}»",
    "except": "try: 1 / n\n    «except ZeroDivisionError: {}»",
    "else of try": "try: 1 / 0\n    except ZeroDivisionError: pass\n    «else: {}»",
    "def": "def g(): «{}»",
    "async def": "async def g(): «{}»",
    "case": "match n:\n        case 2: «{}»\n        case _: pass",
    "after return": "return n; «{}»",
    "after raise": "raise ValueError; «{}»",
    "constant if": "if 0: «{}»",
    "constant while": "while 0: «{}»",
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_body_on_the_line_of_its_header_counts_only_if_it_was_reached(
    observe: Observe, header: str
) -> None:
    check(observe, together(HEADERS[header], BODIES), 1)


REACHED = {
    "if": "if n: {}",
    "elif": "if n > 1: «pass»\n    elif n: {}",
    "else": "if n > 1: «pass»\n    else: {}",
    "for": "for i in [1]: {}",
    "else of for": "for i in []: «pass»\n    else: {}",
    "while": "while n: {}; break",
    "while True": "while True: {}; break",
    "with": "import contextlib\n    with contextlib.nullcontext(): {}",
    "try": "try: {}\n    finally: pass",
    "except": "try: 1 / 0\n    except ZeroDivisionError: {}",
    "bare except": "try: 1 / 0\n    except: {}",
    "except a group": "try: raise ExceptionGroup('', [OSError()])\n    except* OSError: x = 1",
    "finally": "try: pass\n    finally: {}",
    "case": "match n:\n        case 0: «pass»\n        case 1: {}\n        «case _: pass»",
    "guard": "match n:\n        case x if x > 1: «pass»\n        case x if x: {}",
    "wildcard": "match n:\n        case _: {}",
    "after a semicolon": "n; {}",
    "class": "class C: x = 1; y = x",
    "silent": "if n: pass; pass",
}


@pytest.mark.parametrize("header", REACHED)
def test_a_body_on_the_line_of_its_header_counts_if_it_was_reached(
    observe: Observe, header: str
) -> None:
    bodies = dict(BODIES)
    if header in ("while", "while True"):  # what comes after the body would not be reached
        for kind in ("raise", "return", "return a value", "return a constant"):
            del bodies[kind]
    check(observe, together(REACHED[header], bodies), 1)


def together(header: str, bodies: dict[str, str]) -> str:
    """A program that calls a function for each body."""
    functions = [
        in_a_function(header.format(body)).replace("def f(n)", f"def f{number}(n)")
        for number, body in enumerate(bodies.values())
    ]
    names = ", ".join(f"f{number}" for number in range(len(functions)))
    loop = f"for g in [{names}]:"
    calls = in_a_function(loop, "    with contextlib.suppress(ValueError):", "        g(n)")
    return "".join(["import contextlib\n", *functions, calls])


PROGRAMS = {
    "a function that is called": "def g(x): return x\ndef f(n): return g(n)\n",
    "a function that is not": "def g(x=1, *, y: int = 2) -> int: «return x»\ndef f(n): return n\n",
    "a method": "class C:\n    def g(self): «return 1»\n    def h(self): return 2\n"
    "def f(n): return C().h()\n",
    "a decorator": "import functools\n@functools.cache\ndef g(): «return 1»\n"
    "@functools.cache\ndef f(n): return n\n",
    "break": in_a_function("for i in [1, 2]:", "    if i > 9: «break»", "    if i == 2: break"),
    "continue": in_a_function(
        "for i in [1, 2]:", "    if i > 9: «continue»", "    if i == 1: continue", "    n"
    ),
    "break of while": in_a_function("while n < 4:", "    if n > 9: «break»", "    n += 1"),
    "continue of while": in_a_function(
        "while n < 4:", "    n += 1", "    if n > 9: «continue»", "    if n > 2: continue"
    ),
    "break at the end": in_a_function("while True:", "    if n: break", "n"),
    "pass": in_a_function("if n > 9: «pass»", "if n: pass", "«else: pass»"),
    "a raise on the way": in_a_function("x = 1; y = 1 / 0; «z = 2; w = 3»"),
    "a raise in a header": in_a_function("if 1 / 0: «x = 1»"),
    "a raise in an earlier line": in_a_function("x = (1,", "     1 / 0); «y = 2»"),
    "finally twice": in_a_function(
        "for i in [1, 2]:", "    try: continue", "    finally: x = 1; y = 2"
    ),
    "return in try": in_a_function("try: return n; «x = 1»", "finally: x = 2; y = 3"),
    "a lambda over lines": in_a_function("x = lambda: (", "    n); y = 1"),
    "yield": "def g():\n    yield 1; yield 2; «yield 3»\n"
    "def f(n):\n    i = g(); next(i); next(i)\n",
    "yield from": "def g(): yield 1; «yield 2»\ndef h(): yield from g(); «n = 1»\n"
    "def f(n): next(h())\n",
    "await": "import asyncio\nasync def g(): await asyncio.sleep(0); return 1\n"
    "async def h(): «await g(); return 2»\ndef f(n): return asyncio.run(g())\n",
    "async for": "import asyncio\nasync def g(): yield 1; yield 2\n"
    "async def h():\n    async for i in g(): x = i; y = i\n    async for i in g(): break; «x = 1»\n"
    "def f(n): asyncio.run(h())\n",
    "async with": "import asyncio\nclass C:\n    async def __aenter__(self): return 1\n"
    "    async def __aexit__(self, *_): pass\n"
    "async def h():\n    async with C() as x: y = x; return y; «z = y»\n"
    "def f(n): asyncio.run(h())\n",
    "nonlocal": "def f(n):\n    def g(): nonlocal n; n = 2\n    g()\n"
    "    def h(): «nonlocal n; n = 3»\n",
    "global": "k = 1\ndef f(n):\n    global k; k = 2\ndef g(): «global k; k = 3»\n",
    "bare annotation": "x: int\nclass C: y: int; z: int\ndef f(n):\n    z: int\n    z = n\n"
    "    if n:\n        w: int\n        w = 1\n    if n > 1:\n        «v: int\n»        «v = 1»\n",
    "a bare annotation alone": in_a_function("if n:", "    x: int", "if n > 1:", "    «y: int»"),
    "docstrings": "«'''Module.'''\n»class C:\n«    'class'\n»    x = 1\n"
    "class D: «'class';» x = 1\n"
    'def f(n):\n«    """Function\n    over lines."""\n»    \'no docstring\'\n    return n\n',
    "a docstring alone": "def f(n): «'text'»\n",
    "future": "«'''Doc.'''\n»from __future__ import annotations; from __future__ import division\n"
    "def f(n): x: int; return n\n",
    "code of exec": "def f(n):\n    exec('if n: x = 1; y = 2\\n' * 3); x = 1\n",
    "a byte order mark": "\ufeffx = 1; y = 2\ndef f(n): return n; «n»\n",
    "carriage returns": "x = 1; y = 2\r\ndef f(n): return n; «n»\r\n",
    "form feed": "x = 1; y = 2\n\f\ndef f(n): return n; «n»\n",
    "names of keywords": "match = 1; case = 2; type = 3\n"
    "def f(n): print(match, case, type); _ = 1\n",
    "blocks in blocks": in_a_function(
        *("    " * i + "for _ in [1]:" for i in range(19)), "    " * 19 + "x = 1; y = 2"
    ),
    "match": in_a_function(
        "match [n, 2]:",
        "    case []: «x = 1»",
        "    case [1, 3] | [1, 4]: «x = 1»",
        "    case {'k': v}: «x = v»",
        "    case str(): «x = 1»",
        "    case (",
        "        [x, y]",
        "    ) if y > 2: «x = 1»",
        "    case [x, *y]: z = x; w = y",
        "    «case _: x = 1»",
    ),
    "no case fits": in_a_function("match n:", "    case 2: «x = 1»", "    case [x, y]: «x = 1»"),
    "handlers": in_a_function(
        "try: [][n]",
        "except KeyError: «x = 1»",
        "except (ValueError,",
        "        TypeError) as e: «x = 1»",
        "except LookupError as e: x = 1; y = 2",
        "«except: x = 1»",
        "«else: x = 1»",
        "finally: x = 3",
    ),
    "no handler": "def g(n):\n    try: 1 / 0\n    except KeyError: «x = 1»\n"
    "    except OSError: «x = 2»\ndef f(n):\n    try: g(n)\n    except ZeroDivisionError: x = 1\n",
    "type": "type X = int; x = 1\ndef f[T: int](n: T): return n; «n»\nclass C[T]: x = 1; y = 2\n",
}
NEWER = {"type": (3, 12)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_was_never_reached_has_mask_0(observe: Observe, name: str) -> None:
    if observe.version >= NEWER.get(name, (3, 11)):  # type: ignore[attr-defined]
        check(observe, PROGRAMS[name], 1)


def check(observe: Observe, marked: str, argument: int) -> None:
    """`marked` is a program with what counts 0 between guillemets; comments aside."""
    text = marked.replace("«", "").replace("»", "")
    expected = []
    counts = True
    for character in marked:
        if character in "«»":
            counts = character == "»"
        else:
            expected += [counts] * len(character.encode())
    (seen,) = observe(text, argument)
    mask = executed_bytes(Program(text), seen.executed_lines).tolist()
    # White space is its statement's, and which one's is another test's business.
    here = [byte for byte, one in enumerate(text.encode()) if one not in b" \t\f\r\n;\xef\xbb\xbf"]
    wrong = [byte for byte in here if mask[byte] != expected[byte]]
    assert not wrong, f"{text}\n{seen}\nbytes {wrong}: {mask[wrong[0]]}"


def test_tests_that_ran_are_taken_together(observe: Observe) -> None:
    text = "def f(n):\n    if n == 1: x = 1\n    if n == 2: x = 2; y = 2\n    if n == 3: x = 3\n"
    one, two = (seen.executed_lines for seen in observe(text, 1, 2))
    both = ExecutedLines.union_of([one, two, frozenset()])
    mask = executed_bytes(Program(text), both)
    counted = "".join(c for c, bit in zip(text, mask, strict=True) if bit)
    assert counted == text.replace("x = 3\n", "")
    # Lines alone cannot tell: then all that stands on them counts.
    assert executed_bytes(Program(text), frozenset(one)).all()
    assert type(ExecutedLines.union_of([one, frozenset({1})])) is frozenset


def test_generated_programs_against_the_oracle(observe: Observe) -> None:
    def use(namespace: dict[str, Any]) -> None:
        for n in (1, 2, 6):
            with contextlib.suppress(Exception):
                namespace["f"](n)

    rng = random.Random(observe.version[1])  # type: ignore[attr-defined]
    compared = partial = 0
    while compared < 60:
        text = generated.Program(rng).text()
        try:
            ran = recorded.run(text, use)
        except (SyntaxError, TimeoutError):  # a break in a finally's handler, or endless
            continue
        seen = observe(text, 1, 2, 6)
        executed = ExecutedLines.union_of(one.executed_lines for one in seen)
        mask = executed_bytes(Program(text), executed).tolist()
        assert mask == recorded.executed_bytes(text, ran), shown(text, mask, ran)
        compared += 1
        partial += not all(mask)
    assert partial > 30


def shown(text: str, mask: list[bool], ran: set[recorded.Key]) -> str:
    """The program with what differs from the oracle under it."""
    expected = recorded.executed_bytes(text, ran)
    lines, at = [], 0
    for line in text.splitlines(keepends=True):
        bits = zip(mask[at : at + len(line)], expected[at : at + len(line)], strict=True)
        lines += [line.rstrip("\n"), "".join(" " if a == b else "+-"[b] for a, b in bits).rstrip()]
        at += len(line)
    return "\n".join(filter(None, lines))
