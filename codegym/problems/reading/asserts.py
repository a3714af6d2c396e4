"""Rows whose tests are code: the code stays whole, or the row is refused with the reason.

Nothing is taken apart: an assert compares as that assert does, and state that one call leaves
behind is seen by the next, as in the benchmarks' own judges. Test code runs in a process of its
own, so a row is refused that could not mean there what it says:

- it asserts nothing about the entry point in what is run of it, or is not Python;
- it uses names that nobody defines, such as other functions of the program;
- it replaces or watches what is in the program's process: `unittest.mock`, redirected or replaced
  standard streams, files, `inspect`;
- it uses parts of pytest that are not understood here (see `PYTEST`), or asynchronous tests.

Nothing is executed here.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
import warnings
from collections.abc import Iterator, Sequence

from codegym.errors import ProblemError
from codegym.problems.problem import CodeTest, UnitTest
from codegym.problems.reading.packages import is_installed
from codegym.problems.reading.python_code import parse_python

__all__ = ["PYTEST", "read_asserts", "read_check"]

PYTEST = ("approx", "fail", "fixture", "main", "mark", "param", "raises", "skip")
"""What of pytest test code may use."""
_REFUSED_MARKS = ("skip", "skipif", "xfail", "usefixtures", "filterwarnings", "asyncio")
_REFUSED_MODULES = {
    "mock": "it patches its own process, not the program's",
    "unittest.mock": "it patches its own process, not the program's",
    "asyncio": "asynchronous tests are not run here",
    "inspect": "it looks into the program, which is in another process",
    "tempfile": "it writes files, which the program cannot see",
}
_REFUSED_NAMES = {
    "redirect_stdout": "it does not see what the program prints",
    "redirect_stderr": "it does not see what the program prints",
    "open": "it uses files, which the program cannot see",
    "IsolatedAsyncioTestCase": "asynchronous tests are not run here",
}
_STREAMS = ("stdin", "stdout", "stderr")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ALWAYS_THERE = {*dir(builtins), "__name__", "__file__", "candidate", "ListNode", "TreeNode"}


def read_check(
    code: str, *, entry_point: str, prelude: str = "", support: str = ""
) -> tuple[UnitTest, ...]:
    """The test of code that defines ``check(candidate)``, as HumanEval and LeetCodeDataset do.

    Args:
        code: The test code. ``check`` is called after it, unless it does that itself.
        entry_point: What `candidate` is, ``"name"`` or ``"Class().name"``. Code may call the former
            by its name.
        prelude: Code that every program runs after, and the test code as well.
        support: Definitions that the test code relies on.

    Returns:
        One :class:`CodeTest`.

    Raises:
        ProblemError: If it defines no ``check``, or for a reason of this module's docstring.
    """
    tree = _parse(code)
    checks = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "check"]
    if len(checks) != 1 or len(checks[0].args.args) != 1:
        raise ProblemError("the test code must define one function check(candidate)")
    called = any(_is_call_of(node, "check") for node in tree.body)
    end = "" if called else f"\n\ncheck({_name(entry_point)})\n"
    names = {checks[0].args.args[0].arg, "candidate", _name(entry_point)}
    counted = [node for node in checks[0].body if _may_fail(node, names)]
    return _whole(code, end, entry_point, prelude, support, names, counted)


def read_asserts(
    asserts: Sequence[str], *, entry_point: str, prelude: str = "", support: str = ""
) -> tuple[UnitTest, ...]:
    """The test of code that calls the entry point by its name, as in MBPP.

    It may be a script of asserts, or define tests in the way of pytest or unittest.

    Args:
        asserts: Pieces of test code, which make one script.
        entry_point: The name they call, or ``"Class().name"``, which they call as ``candidate``.
        prelude: Code that every program runs after, and the test code as well.
        support: Definitions that the test code relies on.

    Returns:
        One :class:`CodeTest`.

    Raises:
        ProblemError: For a reason of this module's docstring.
    """
    for text in asserts:
        _parse(text)
    code = "\n".join(asserts)
    tree = _parse(code)
    names = {"candidate", _name(entry_point)}
    counted = _found_tests(tree) or [
        node for node in tree.body if not isinstance(node, _DEFINITIONS) and _may_fail(node, names)
    ]
    return _whole(code, "\n", entry_point, prelude, support, names, counted)


def _whole(
    code: str,
    end: str,
    entry_point: str,
    prelude: str,
    support: str,
    names: set[str],
    counted: Sequence[ast.stmt],
) -> tuple[UnitTest, ...]:
    tree = _parse(code)
    name = _name(entry_point)
    modules = _program_modules(tree, name)
    setup = "\n".join([*filter(None, [support]), *(_as_module(one, name) for one in modules)])
    for module, other, _ in _imports(tree):
        if module in modules and other not in (None, name, "*"):
            raise ProblemError(
                f"the test code imports {other} from {module}; of the program it can only call the "
                "entry point"
            )
    for reason in _refusals(tree):
        raise ProblemError(f"the test code cannot be run apart from the program: {reason}")
    nodes = [node for statement in _reached(tree) for node in ast.walk(statement)]
    if not (any(_names_one(n, names) for n in nodes) and any(_can_fail(n, names) for n in nodes)):
        raise ProblemError("the test code asserts nothing about the function in what is run of it")
    missing = _undefined(code, prelude, setup) - names
    if missing:
        raise ProblemError(
            f"the test code uses {', '.join(sorted(missing))}, which neither it nor the prelude "
            "defines; of the program it can only call the entry point"
        )
    checks = tuple(sorted({node.lineno for node in counted}))
    return (CodeTest(code.rstrip() + end, name, setup + "\n" if setup else "", checks),)


def _name(entry_point: str) -> str:
    return entry_point if entry_point.isidentifier() else "candidate"


def _parse(code: str) -> ast.Module:
    return parse_python(code, what="the test code")


def _is_call_of(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=called))):
            return called == name
    return False


def _may_fail(statement: ast.stmt, names: set[str]) -> bool:
    return any(_can_fail(node, names) for node in ast.walk(statement))


def _found_tests(tree: ast.Module) -> list[ast.stmt]:
    """The test functions and methods that are found by their names, and not called by the code."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            found += [node] if node.name not in used else []
        elif isinstance(node, ast.ClassDef) and (node.bases or node.name.startswith("Test")):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef)]
            found += [m for m in methods if m.name.startswith(("test", "runTest"))]
    return found


def _reached(tree: ast.Module) -> list[ast.stmt]:
    """What is run of the code: its statements, what they name, ``check``, and tests."""
    found = _found_tests(tree)
    definitions = {n.name: n for n in tree.body if isinstance(n, _DEFINITIONS)}
    reached = [
        node
        for node in tree.body
        if not isinstance(node, _DEFINITIONS)
        or node.name == "check"
        or any(part in found for part in ast.walk(node))
    ]
    for statement in reached:  # grows meanwhile
        for node in ast.walk(statement):
            called = definitions.pop(node.id, None) if isinstance(node, ast.Name) else None
            if called is not None and called not in reached:
                reached.append(called)
    return reached


def _names_one(node: ast.AST, names: set[str]) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name in names
    return False


def _can_fail(node: ast.AST, names: set[str]) -> bool:
    """Whether it asserts, raises, or hands the function or its answer to something that may."""
    match node:
        case ast.Assert(test=ast.Constant(value=value)):
            return not value
        case ast.Assert() | ast.Raise():
            return True
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
            return name.startswith(("assert", "raises", "fail"))
        case ast.Call(func=ast.Name(id="check")):
            return False
        case ast.Call(args=args, keywords=keywords):
            given = [*args, *(keyword.value for keyword in keywords)]
            return any(_names_one(part, names) for one in given for part in ast.walk(one))
    return False


def _imports(tree: ast.Module) -> Iterator[tuple[str, str | None, str]]:
    """`(module, name or None, bound name)` of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((a.name, None, a.asname or a.name) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((module, a.name, a.asname or a.name) for a in node.names)


def _program_modules(tree: ast.Module, entry: str) -> list[str]:
    """The modules that the test code means the program by: it imports the function from them."""
    attributes = {
        (ast.unparse(node.value), node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    found = {
        module: None
        for module, name, bound in _imports(tree)
        if module.partition(".")[0] not in sys.stdlib_module_names
        and (
            name == entry
            or (name is None and (bound, entry) in attributes)
            or (name == "*" and not is_installed(module.partition(".")[0]))
        )
    }
    return list(found)


def _as_module(module: str, entry: str) -> str:
    return (
        f'__import__("sys").modules[{module!r}] = '
        f'__import__("types").SimpleNamespace({entry}={entry})'
    )


def _refusals(tree: ast.Module) -> Iterator[str]:
    """Why the code could not mean in a process of its own what it says."""
    pytest = {bound for module, name, bound in _imports(tree) if module == "pytest" and not name}
    for module, name, _ in _imports(tree):
        whole = f"{module}.{name}" if name else module
        for refused, why in _REFUSED_MODULES.items():
            if refused in (module, whole):
                yield f"it imports {refused}: {why}"
        if module.startswith("."):
            yield "it imports from a package that it is not part of"
        if module == "pytest" and name and name not in PYTEST:
            yield f"pytest.{name} is not understood here"
        if name in _REFUSED_NAMES:
            yield f"{name}: {_REFUSED_NAMES[name]}"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in pytest:
                if name not in PYTEST:
                    yield f"pytest.{name} is not understood here"
            case ast.Attribute(value=ast.Attribute(attr="mark"), attr=name):
                if name in _REFUSED_MARKS:
                    yield f"pytest.mark.{name} is not understood here"
            case ast.Attribute(value=ast.Name(id="sys"), attr=name, ctx=ast.Store()):
                if name in _STREAMS:
                    yield f"it replaces sys.{name}, which the program does not see"
            case ast.Name(id=name) | ast.Attribute(attr=name):
                if name in _REFUSED_NAMES:
                    yield f"{name}: {_REFUSED_NAMES[name]}"
            case ast.AsyncFunctionDef(name=name):
                yield f"{name}: asynchronous tests are not run here"
    yield from _unknown_fixtures(tree, tree)
    for group in tree.body:
        if isinstance(group, ast.ClassDef):
            yield from _unknown_fixtures(tree, group)


def _unknown_fixtures(tree: ast.Module, group: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Parameters of tests that nothing here gives a value."""
    known = {"self", "cls"} | {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    for test in group.body:
        if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test"):
            continue
        if test.name in used:  # the code calls it itself
            continue
        marks = [*test.decorator_list, *getattr(group, "decorator_list", [])]
        texts = {n.value for m in marks for n in ast.walk(m) if isinstance(n, ast.Constant)}
        given = {word.strip() for t in texts if isinstance(t, str) for word in t.split(",")}
        needed = test.args.args[: len(test.args.args) - len(test.args.defaults)]
        for name in {a.arg for a in needed} - known - given:
            yield f"the fixture {name!r} of {test.name} is not known here"


def _undefined(code: str, *before: str) -> set[str]:
    """Names that the code uses and nobody binds; none where a star import may bind them."""
    used: set[str] = set()
    bound = set(_ALWAYS_THERE)
    for text in (code, *before):
        if any(name == "*" for _, name, _ in _imports(_parse(text))):
            return set()
        for table in _tables(text):
            for symbol in table.get_symbols():
                name = symbol.get_name()
                at_top = table.get_type() == "module" or symbol.is_declared_global()
                if at_top and (symbol.is_assigned() or symbol.is_imported()):
                    bound.add(name)
                elif text is code and symbol.is_referenced() and symbol.is_global():
                    used.add(name)
    return used - bound


def _tables(code: str) -> Iterator[symtable.SymbolTable]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            waiting = [symtable.symtable(code, "test.py", "exec")]
        except SyntaxError as error:
            raise ProblemError(f"the test code is not Python: {error}") from error
    while waiting:
        table = waiting.pop()
        yield table
        waiting += table.get_children()
