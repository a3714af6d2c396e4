"""Code that judges run before a program: the names that a data set promises its programs."""

from __future__ import annotations

__all__ = ["APPS_PRELUDE", "LIVECODEBENCH_PRELUDE", "NODE_CLASSES"]

APPS_PRELUDE = """\
import bisect, collections, copy, fractions, functools, heapq, itertools, math, operator, random
import re, string, sys, time
from typing import *
from bisect import bisect_left, bisect_right
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from fractions import Fraction
from functools import cmp_to_key, lru_cache, reduce
from heapq import heapify, heappop, heappush, heappushpop, heapreplace, merge, nlargest, nsmallest
from itertools import accumulate, combinations, permutations, product
from math import ceil, cos, exp, fabs, floor, gcd, log, log2, sin, sqrt, tan
"""
"""APPS' own imports (without numpy), and the modules that its solutions take for granted."""

NODE_CLASSES = """\
class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next


class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right
"""
"""LeetCode's node classes, for data sets whose rows name them but do not bring them."""

_STAR_MODULES = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools "
    "operator io sys json builtins typing"
)
_MODULES = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools "
    "operator io sys json"
)

LIVECODEBENCH_PRELUDE = (
    "".join(f"from {module} import *\n" for module in _STAR_MODULES.split())
    + f"import {', '.join(_MODULES.split())}\n"
    + "sys.setrecursionlimit(50000)\n"
)
"""LiveCodeBench's imports, in its order: later names hide earlier ones."""
