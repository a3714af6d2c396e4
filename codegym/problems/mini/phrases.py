"""The phrases of Mini: what a clause says in English, what it means in Python, how it goes wrong.

Only tables and the value types they are made of; nothing is drawn or run here. Every phrase has
one typical mistake and the fixed probability with which a weak coder makes it: most are made in a
third of all cases, a few in slightly more than half, so that the most likely code is wrong there.
The phrases of openings occur nowhere else, and a weak coder gets nine of ten wrong: what is learned
about the end of a program does not help at its beginning.
"""

from __future__ import annotations

import dataclasses

__all__ = ["DISPATCHING", "FAMILIES", "OPENING", "Family", "Phrase"]


@dataclasses.dataclass(frozen=True, slots=True)
class Phrase:
    """One thing that a clause can say.

    The templates have the slots ``{v}`` (a variable) and ``{k}`` (a digit).

    Attributes:
        english: Equivalent wordings.
        code: What it means: an expression or a statement.
        flaw: The typical mistake.
        rate: How often a weak coder makes it, in [0, 1].
    """

    english: tuple[str, ...]
    code: str
    flaw: str = ""
    rate: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """What the programs of one kind have in common.

    Attributes:
        name: The family's name.
        parameters: The function's parameters, each with the kind of its values: ``"number"``,
            ``"size"``, ``"numbers"``, ``"text"`` or ``"case"`` (which arm of a dispatch).
        starts: Expressions that the result may start with.
        loops: Loop headers; empty if the program has no loop.
        subjects: Variables that a condition may speak of; repeated for weight.
        operands: Variables that an action may use; repeated for weight.
        conditions: Phrases of the kind "if ...".
        builders: Actions that add to the result.
        changes: Actions that may undo what came before; they only stand under a condition.
        exits: Actions that leave the loop or the function early.
        returns: Phrases of the last line.
        openings: Steps at the beginning of a program, if it has an opening.
        guards: Conditions at its beginning under which the function is left; rarely true.
        leaves: What a guard does.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    starts: tuple[str, ...]
    loops: tuple[Phrase, ...]
    subjects: tuple[str, ...]
    operands: tuple[str, ...]
    conditions: tuple[Phrase, ...]
    builders: tuple[Phrase, ...]
    changes: tuple[Phrase, ...]
    exits: tuple[Phrase, ...]
    returns: tuple[Phrase, ...]
    openings: tuple[Phrase, ...] = ()
    guards: tuple[Phrase, ...] = ()
    leaves: tuple[Phrase, ...] = ()

    @property
    def dispatches(self) -> bool:
        """Whether its programs choose one of many arms by their first parameter."""
        return self.parameters[0][1] == "case"


_NUMBER_CONDITIONS = (
    Phrase(("{v} is above {k}", "{v} is more than {k}"), "{v} > {k}", "{v} >= {k}", 0.43),
    Phrase(("{v} is below {k}", "{v} is less than {k}"), "{v} < {k}", "{v} <= {k}", 0.38),
    Phrase(("{v} is at least {k}",), "{v} >= {k}", "{v} > {k}", 0.52),
    Phrase(("{v} is at most {k}",), "{v} <= {k}", "{v} < {k}", 0.41),
    Phrase(("{v} is {k}",), "{v} == {k}", "{v} = {k}", 0.36),
    Phrase(("{v} is not {k}",), "{v} != {k}", "{v} == {k}", 0.37),
    Phrase(("{v} is even",), "{v} % 2 == 0", "{v} / 2 == 0", 0.42),
    Phrase(("{v} is odd",), "{v} % 2 == 1", "{v} / 2 == 1", 0.51),
    Phrase(("{v} is a multiple of {k}",), "{v} % {k} == 0", "{v} / {k} == 0", 0.40),
    Phrase(("{v} is positive",), "{v} > 0", "{v} >= 0", 0.35),
)

_MEMBER_CONDITIONS = (
    Phrase(("{v} is in r",), "{v} in r", "{v} == r", 0.40),
    Phrase(("{v} is not in r",), "{v} not in r", "{v} != r", 0.36),
)

_LENGTH_CONDITION = Phrase(("r has less than {k} items",), "len(r) < {k}", "len(r) <= {k}", 0.43)

_TEXT_CONDITIONS = (
    Phrase(("c is a vowel",), 'c in "aeiou"', 'c == "aeiou"', 0.43),
    Phrase(("c is a digit",), "c.isdigit()", "c.isdigit", 0.40),
    Phrase(("c is a capital",), "c.isupper()", "c.upper()", 0.52),
)

_NUMBER_BUILDERS = (
    Phrase(("add {k} to r",), "r += {k}", "r =+ {k}", 0.24),
    Phrase(("subtract {k} from r",), "r -= {k}", "r =- {k}", 0.27),
    Phrase(("multiply r by {k}",), "r *= {k}", "r += {k}", 0.22),
    Phrase(("add {v} to r",), "r += {v}", "r = {v}", 0.26),
    Phrase(("subtract {v} from r",), "r -= {v}", "r += {v}", 0.33),
    Phrase(("negate r",), "r = -r", "r -= r", 0.28),
    Phrase(("add the square of {v} to r",), "r += {v} ** 2", "r += {v} * 2", 0.52),
)

_NUMBER_CHANGES = (
    Phrase(("set r to {k}",), "r = {k}", "r == {k}", 0.34),
    Phrase(("set r to {v}",), "r = {v}", "{v} = r", 0.25),
    Phrase(("raise r to at least {v}",), "r = max(r, {v})", "r = min(r, {v})", 0.31),
)

_LIST_BUILDERS = (
    Phrase(("append {v} to r",), "r.append({v})", "r += {v}", 0.25),
    Phrase(
        ("append {v} plus {k} to r",),
        "r.append({v} + {k})",
        "r.append({v}) + {k}",
        0.28,
    ),
    Phrase(("append {k} to r",), "r.append({k})", "r = [{k}]", 0.23),
    Phrase(("put {v} at the front of r",), "r.insert(0, {v})", "r.insert({v}, 0)", 0.51),
)

_LIST_CHANGES = (
    Phrase(("reverse r",), "r = r[::-1]", "r = r[:-1]", 0.33),
    Phrase(("clear r",), "r = []", "r == []", 0.29),
)

_DICT_BUILDERS = (
    Phrase(("count {v} in r",), "r[{v}] = r.get({v}, 0) + 1", "r[{v}] += 1", 0.31),
    Phrase(("set r at {v} to {k}",), "r[{v}] = {k}", "r[{k}] = {v}", 0.24),
    Phrase(("set r at {k} to {v}",), "r[{k}] = {v}", "r[{v}] = {k}", 0.27),
    Phrase(("set r at {v} to its square",), "r[{v}] = {v} ** 2", "r[{v}] = {v} * 2", 0.51),
)

_DICT_CHANGES = (Phrase(("clear r",), "r = {{}}", "r == {{}}", 0.28),)

_TEXT_BUILDERS = (
    Phrase(("add c to r",), "r += c", "r = c", 0.23),
    Phrase(("add c to r {k} times",), "r += c * {k}", "r += c + {k}", 0.32),
    Phrase(("add c as a capital to r",), "r += c.upper()", "r += c.upper", 0.29),
    Phrase(("put c at the front of r",), "r = c + r", "r = r + c", 0.51),
)

_TEXT_CHANGES = (Phrase(("reverse r",), "r = r[::-1]", "r = r[:-1]", 0.33),)

_STOP = Phrase(("stop",), "break", "continue", 0.30)
_RETURN = Phrase(("return r",), "return r", "print(r)", 0.28)

_NUMBER_RETURNS = (
    Phrase(("return r",), "return r"),
    Phrase(("return r",), "return r"),
    Phrase(("return r plus {k}",), "return r + {k}"),
    Phrase(("return r times {k}",), "return r * {k}"),
    Phrase(("return {k} minus r",), "return {k} - r"),
)

_LIST_LOOPS = (
    Phrase(("for each x in xs",), "x in xs"),
    Phrase(("for each x in xs",), "x in xs"),
    Phrase(("for each x in xs but the first",), "x in xs[1:]", "x in xs[:1]", 0.35),
    Phrase(("for each x in xs from the end",), "x in xs[::-1]", "x in xs[:-1]", 0.40),
)

FAMILIES = (
    Family(
        name="numbers",
        parameters=(("a", "number"), ("b", "number")),
        starts=("0", "a", "b", "1", "a + b", "a - b"),
        loops=(),
        subjects=("a", "b", "a", "b", "a", "b", "r"),
        operands=("a", "b"),
        conditions=_NUMBER_CONDITIONS,
        builders=_NUMBER_BUILDERS,
        changes=_NUMBER_CHANGES,
        exits=(_RETURN,),
        returns=_NUMBER_RETURNS,
    ),
    Family(
        name="range",
        parameters=(("n", "size"), ("k", "number")),
        starts=("0", "1", "k", "n"),
        loops=(
            Phrase(("for each i below n",), "i in range(n)", "i in range(1, n)", 0.37),
            Phrase(
                ("for each i from 1 to n",),
                "i in range(1, n + 1)",
                "i in range(1, n)",
                0.44,
            ),
            Phrase(
                ("for each i from n down to 1",),
                "i in range(n, 0, -1)",
                "i in range(n, 1)",
                0.41,
            ),
        ),
        subjects=("i", "i", "i", "i", "k", "r"),
        operands=("i", "i", "k"),
        conditions=_NUMBER_CONDITIONS[:9],
        builders=_NUMBER_BUILDERS,
        changes=_NUMBER_CHANGES,
        exits=(_STOP,),
        returns=_NUMBER_RETURNS,
    ),
    Family(
        name="reduce",
        parameters=(("xs", "numbers"), ("k", "number")),
        starts=("0", "1", "k", "2", "5"),
        loops=_LIST_LOOPS,
        subjects=("x", "x", "x", "x", "k", "r"),
        operands=("x", "x", "k"),
        conditions=_NUMBER_CONDITIONS,
        builders=_NUMBER_BUILDERS,
        changes=_NUMBER_CHANGES,
        exits=(_STOP,),
        returns=_NUMBER_RETURNS,
    ),
    Family(
        name="list",
        parameters=(("xs", "numbers"), ("k", "number")),
        starts=("[]", "[k]", "[0]", "[1]", "[k, 0]", "[2]", "[5]"),
        loops=_LIST_LOOPS,
        subjects=("x", "x", "x", "k"),
        operands=("x", "x", "k"),
        conditions=(*_NUMBER_CONDITIONS[:9], *_MEMBER_CONDITIONS, _LENGTH_CONDITION),
        builders=_LIST_BUILDERS,
        changes=_LIST_CHANGES,
        exits=(_STOP,),
        returns=(
            Phrase(("return r",), "return r"),
            Phrase(("return r",), "return r"),
            Phrase(("return r plus [{k}]",), "return r + [{k}]"),
            Phrase(("return r reversed",), "return r[::-1]"),
        ),
    ),
    Family(
        name="dict",
        parameters=(("xs", "numbers"), ("k", "number")),
        starts=("{}", "{k: 0}", "{0: k}", "{1: 1}", "{k: 1}", "{2: 5}", "{k: k}"),
        loops=_LIST_LOOPS,
        subjects=("x", "x", "x", "k"),
        operands=("x", "x", "k"),
        conditions=_NUMBER_CONDITIONS[:9] + _MEMBER_CONDITIONS,
        builders=_DICT_BUILDERS,
        changes=_DICT_CHANGES,
        exits=(_STOP,),
        returns=(
            Phrase(("return r",), "return r"),
            Phrase(("return r",), "return r"),
            Phrase(("return the sorted items of r",), "return sorted(r.items())"),
        ),
    ),
    Family(
        name="text",
        parameters=(("s", "text"),),
        starts=('""', '"a"', '"b"', '"c"', '"d"', '"e"', "s"),
        loops=(
            Phrase(("for each c in s",), "c in s"),
            Phrase(("for each c in s",), "c in s"),
            Phrase(("for each c in s but the first",), "c in s[1:]", "c in s[:1]", 0.35),
            Phrase(("for each c in s from the end",), "c in s[::-1]", "c in s[:-1]", 0.40),
        ),
        subjects=("c",),
        operands=("c",),
        conditions=_TEXT_CONDITIONS + _MEMBER_CONDITIONS,
        builders=_TEXT_BUILDERS,
        changes=_TEXT_CHANGES,
        exits=(_STOP,),
        returns=(
            Phrase(("return r",), "return r"),
            Phrase(("return r",), "return r"),
            Phrase(("return r times {k}",), "return r * {k}"),
            Phrase(("return r reversed",), "return r[::-1]"),
        ),
    ),
)

_LEAVES = (
    Phrase(("return {k}",), "return {k}", "return -{k}", 0.88),
    Phrase(("return minus {k}",), "return -{k}", "return {k}", 0.91),
    Phrase(("return {k} in a list",), "return [{k}]", "return {k}", 0.90),
    Phrase(("return nothing",), "return None", "return 0", 0.92),
)

_NUMBERS_OPENING = (
    Phrase(("make a absolute",), "a = abs(a)", "a = -a", 0.90),
    Phrase(("make b absolute",), "b = abs(b)", "b = -b", 0.92),
    Phrase(("swap a and b",), "a, b = b, a", "a = b", 0.93),
    Phrase(("reduce a modulo {k}",), "a %= {k}", "a //= {k}", 0.91),
    Phrase(("reduce b modulo {k}",), "b %= {k}", "b //= {k}", 0.88),
    Phrase(("move b by a",), "b += a", "a += b", 0.90),
)

_NUMBERS_GUARDS = (
    Phrase(("a equals b",), "a == b", "a is not b", 0.90),
    Phrase(("a is twice b",), "a == 2 * b", "2 * a == b", 0.92),
    Phrase(("a plus b is {k}",), "a + b == {k}", "a + {k} == b", 0.88),
    Phrase(("a times b is above 50",), "a * b > 50", "a + b > 50", 0.91),
)

_LIST_OPENING = (
    Phrase(("sort xs",), "xs = sorted(xs)", "xs.sort", 0.90),
    Phrase(("sort xs downwards",), "xs = sorted(xs)[::-1]", "xs = xs[::-1]", 0.92),
    Phrase(("drop repeats in xs",), "xs = list(dict.fromkeys(xs))", "xs = xs[1:]", 0.93),
    Phrase(("keep every second of xs",), "xs = xs[::2]", "xs = xs[:2]", 0.91),
    Phrase(("double xs",), "xs = xs + xs", "xs = xs", 0.88),
    Phrase(("move xs by {k}",), "xs = [y + {k} for y in xs]", "xs = xs + [{k}]", 0.91),
    Phrase(("make k absolute",), "k = abs(k)", "k = -k", 0.90),
)

_LIST_GUARDS = (
    Phrase(("xs is empty",), "not xs", "xs == 0", 0.90),
    Phrase(("xs has one item",), "len(xs) == 1", "len(xs) > 1", 0.92),
    Phrase(("k is the largest of xs",), "k == max(xs, default=0)", "k > max(xs)", 0.88),
    Phrase(("xs begins with k",), "xs[:1] == [k]", "xs[1:] == [k]", 0.91),
)

_OPENINGS = {
    "numbers": (_NUMBERS_OPENING, _NUMBERS_GUARDS),
    "reduce": (_LIST_OPENING, _LIST_GUARDS),
    "list": (_LIST_OPENING, _LIST_GUARDS),
}

OPENING = tuple(
    dataclasses.replace(one, openings=steps, guards=guards, leaves=_LEAVES)
    for one in FAMILIES
    if one.name in _OPENINGS
    for steps, guards in [_OPENINGS[one.name]]
)
"""Families whose programs begin with steps and guard clauses that occur nowhere else."""

DISPATCHING = (
    dataclasses.replace(
        FAMILIES[0],
        name="dispatch",
        parameters=(("n", "case"), ("a", "number"), ("b", "number")),
        subjects=("n",),
        conditions=(Phrase(("{v} is {k}",), "{v} == {k}", "{v} >= {k}", 0.33),),
    ),
)
"""The family whose programs choose one of many arms: a test runs one of them."""
