"""Which programs may answer several calls in one process: only those that can leave nothing."""

from __future__ import annotations

import ast
import builtins
from typing import Any

import pytest

from codegym.execution.sandbox.child import plain
from codegym.problems import load_problems

PRELUDE = """
import math, sys, time, random
from collections import *
from typing import *
from heapq import *
inf = float("inf")
class ListNode: pass
seen = []
"""
GIVEN: dict[str, Any] = {"__name__": "program"}
exec(PRELUDE, GIVEN)

PLAIN = {
    "arithmetic": "def f(x):\n    y = x * 2\n    return y if y > 3 else -y\n",
    "a method of Solution": "class Solution:\n    def f(self, x: List[int]) -> int:\n"
    "        return self.g(x)\n    def g(self, x):\n        return max(x, default=0)\n",
    "an old class": "class Solution(object):\n    def f(self, x):\n        return x\n",
    "a cache": "from functools import cache\n@cache\ndef f(x):\n"
    "    return 1 if x < 2 else f(x - 1) + f(x - 2)\n",
    "a default that grows": "def f(x, had=[]):\n    had.append(x)\n    return len(had)\n",
    "a global": "n = 0\ndef f(x):\n    global n\n    n += x\n    return n\n",
    "names of the prelude": "def f(x):\n    h = []\n    heappush(h, x)\n"
    "    d = defaultdict(int)\n    return min(inf, heappop(h)) + math.sqrt(4) + len(deque([1]))\n",
    "methods of its own": "class Solution:\n    def f(self, x):\n        return self.search(x)\n"
    "    def search(self, x):\n        return x\n",
    "annotations": "import typing\nfrom typing import Dict as D\n"
    "def f(x: typing.List[D[str, 'int']], y: int | None = None) -> Optional[Tuple[int, ...]]:\n"
    "    z: List[int] = x\n    return z\n",
    "imports": "import math\nfrom itertools import accumulate\ndef f(x):\n"
    "    return math.floor(list(accumulate(x))[-1])\n",
    "a module by another name": "import math as m\ndef f(x):\n    return m.gcd(x, 4)\n",
    "caught exceptions": "def f(x):\n    try:\n        return int(x)\n"
    "    except (ValueError, TypeError) as error:\n        return 0\n",
    "a generator": "def g(x):\n    yield from range(x)\ndef f(x):\n    return sum(g(x))\n",
    "texts": "def f(x):\n    if isinstance(x, (str, bytes)):\n        return x.strip().upper()\n"
    "    return ''.join([chr(x), 'a'])\n",
    "lambda and sort": "def f(x):\n    x.sort(key=lambda one: -one)\n    return x[::-1]\n",
}
NOT_PLAIN = {
    "an attribute of a module": "import math\ndef f(x):\n    math.n = x\n",
    "of a module by another name": "import math as m\ndef f(x):\n    m.pi += 1\n",
    "of a class of the library": "def f(x):\n    Counter.n = x\n",
    "of what may be one": "class A:\n    def g(self):\n        self.n = 1\nA.g(Counter)\n",
    "del of an attribute": "import math\ndef f(x):\n    del math.pi\n",
    "a loop over an attribute": "import math\ndef f(x):\n    for math.n in x: pass\n",
    "unpacking into one": "import math\ndef f(x):\n    math.a, b = x\n",
    "another module": "import sys\ndef f(x):\n    return sys.maxsize\n",
    "another of the prelude": "def f(x):\n    return sys.maxsize\n",
    "a submodule": "import collections.abc\n",
    "everything of a module": "from math import *\n",
    "a relative import": "from . import math\n",
    "a relative import of a name": "from .math import floor\n",
    "a module with a state": "from random import randint\ndef f(x):\n    return randint(0, x)\n",
    "a name that is not listed": "from functools import partial\n",
    "attributes by name": "from operator import attrgetter\n",
    "a member that is not listed": "import operator\nf = operator.methodcaller('x')\n",
    "a mutable thing of the prelude": "def f(x):\n    seen.append(x)\n    return len(seen)\n",
    "a class of the prelude": "def f(x):\n    return ListNode\n",
    "getattr": "def f(x):\n    return getattr(x, '__class__')\n",
    "type": "def f(x):\n    return type(x)\n",
    "id": "def f(x):\n    return id(x)\n",
    "print": "def f(x):\n    print(x)\n",
    "open": "def f(x):\n    return open('x')\n",
    "eval": "def f(x):\n    return eval('1')\n",
    "globals": "def f(x):\n    return globals()\n",
    "a builtin under a variable of another function": "def g():\n    open = 1\n"
    "def f(x):\n    return open('x')\n",
    "a module under a variable of another function": "def g():\n    sys = 1\n"
    "def f(x):\n    return sys.maxsize\n",
    "a mutable thing under a variable of another function": "def g():\n    seen = 1\n"
    "def f(x):\n    seen.append(x)\n    return len(seen)\n",
    "a parameter that hides": "def g(__builtins__):\n    pass\n"
    "def f(x):\n    return __builtins__\n",
    "a global that hides": "def g():\n    global __loader__\ndef f(x):\n    return __loader__\n",
    "a dunder": "def f(x):\n    return x.__class__\n",
    "a frame": "def g():\n    yield\ndef f(x):\n    return g().gi_frame\n",
    "a frame by a name of its own": "def gi_frame(): pass\ndef g():\n    yield\ndef f(x):\n"
    "    return g().gi_frame\n",
    "a class by a name of its own": "class A:\n    def mro(self): pass\ndef f(x):\n"
    "    return int.mro()\n",
    "a member of a module by a name of its own": "import operator\ndef attrgetter(x): pass\n"
    "def f(x):\n    return operator.attrgetter('__class__')(x)\n",
    "an address as text": "def f(x): return int(str(f).split('0x')[1].rstrip('>'), 16)",
    "an address in an f-string": "def f(x): return f'{f}'",
    "an address behind a percent sign": "def f(x): return '%s' % f",
    "text as a function": "def f(x): return list(map(str, [f]))",
    "a cache of typing": "from typing import List\ndef f(x):\n    return str(List[x])\n",
    "one in an annotation": "from typing import List\ndef f(x):\n    def g(y: List[x]): pass\n",
    "one under another name": "import typing as t\ndef f(x):\n    return t.List[x]\n",
    "one of the prelude": "def f(x):\n    return List[x]\n",
    "one with a number": "def f(x: List[1]):\n    return x\n",
    "a traceback": "def f(x):\n    try:\n        x()\n    except ValueError as e:\n"
    "        return e.__traceback__\n",
    "format": "def f(x):\n    return '{0.__class__}'.format(x)\n",
    "format_map": "def f(x):\n    return '{a.__class__}'.format_map({'a': x})\n",
    "all exceptions": "def f(x):\n    try:\n        return f(x)\n    except:\n        return 1\n",
    "exceptions of memory": "def f(x):\n    try:\n        return x * 10**12\n"
    "    except Exception:\n        return 1\n",
    "a name for those": "ValueError = TypeError\ndef f(x):\n    try:\n        return f(x)\n"
    "    except ValueError:\n        return 1\n",
    "an expression for those": "def f(x):\n    try:\n        return f(x)\n"
    "    except [ValueError][0]:\n        return 1\n",
    "finally": "def f(x):\n    try:\n        return f(x)\n    finally:\n        return 1\n",
    "a group of exceptions": "def f(x):\n    try:\n        x()\n"
    "    except* ValueError:\n        pass\n",
    "with": "def f(x):\n    with x:\n        pass\n",
    "async": "async def f(x):\n    return x\n",
    "match": "def f(x):\n    match x:\n        case list(): return 1\n",
    "a finalizer": "class A:\n    def __del__(self):\n        pass\n",
    "a finalizer that is a class": "class A:\n    class __del__:\n        pass\n",
    "an instance": "class A:\n    pass\ndef f(x):\n    return len({A(), A()})\n",
    "a base class": "class A(dict):\n    pass\n",
    "a metaclass": "class A(metaclass=ValueError):\n    pass\n",
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain(name: str) -> None:
    assert plain.is_plain(ast.parse(PLAIN[name]), GIVEN)


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_not_plain(name: str) -> None:
    assert not plain.is_plain(ast.parse(NOT_PLAIN[name]), GIVEN)


def test_builtins_that_look_around_are_not_plain() -> None:
    around = (
        "breakpoint classmethod compile delattr dir exec format hash input locals memoryview "
        "object property repr setattr super vars __build_class__ __import__ BaseException "
        "Exception MemoryError OSError RecursionError RuntimeError SystemExit"
    )
    for name in around.split():
        assert hasattr(builtins, name)
        assert not plain.is_plain(ast.parse(f"def f(x):\n    return {name}(x)\n"), {}), name


def test_nothing_that_is_caught_tells_how_much_memory_or_stack_is_left() -> None:
    for name in plain._CAUGHT:
        kind = getattr(builtins, name)
        assert not any(issubclass(e, kind) for e in (MemoryError, RecursionError, SystemExit))


def test_what_the_agents_train_on_is_plain() -> None:
    solutions = [p.canonical_solution for p in load_problems("mini", split="train", size=60)]
    assert all(text and plain.is_plain(ast.parse(text), {}) for text in solutions)


def test_nothing_allowed_leads_out() -> None:
    """No attribute of that name, on anything that a plain program can hold, is dangerous."""
    allowed = plain._ATTRIBUTES
    assert not {name for name in allowed if name.startswith("_")}
    for leak in ("gi_frame", "gi_code", "cr_frame", "tb_frame", "f_back", "f_globals", "f_locals"):
        assert leak not in allowed
    assert not allowed & {"format", "format_map", "modules", "attrgetter", "methodcaller", "mro"}
