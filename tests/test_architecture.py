"""The layout's referee: imports point one way, the core is light, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "codegym").rglob("*.py"))
AGENTS = sorted((ROOT / "agents").rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# A module imports from its own room and from rooms before it.
ROOMS = [
    "errors",
    "problems",
    "tokenization",
    "programs",
    "start_states",
    "execution",
    "grading",
    "serving",
    "masks",
    "rewards",
    "envs",
    "wrappers",
    "integrations",
    "registration",
    "commands",
    "",  # the package root
    "__main__",
]


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "codegym").with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports_of(path: Path) -> list[tuple[str, int, bool]]:
    """(module, line, at the top level) of every import."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append((module, node.lineno, id(node) in top))
    return found


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_only_from_rooms_before_them(path: Path) -> None:
    room = room_of(path)
    for module, line, _ in imports_of(path):
        assert not module.startswith("agents"), f"{path.name}:{line} imports an agent"
        if module.split(".")[0] != "codegym":
            continue
        other = [*module.split("."), ""][1]
        assert other or room == "", f"{path.name}:{line} imports from the package root"
        assert ROOMS.index(other) <= ROOMS.index(room), (
            f"{path.relative_to(ROOT)}:{line}: {room or 'the root'} must not import {module}"
        )


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_import_of_ours_hides_in_a_function(path: Path) -> None:
    hidden = []
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            imports = (n for n in ast.walk(function) if isinstance(n, ast.ImportFrom))
            hidden += [n.lineno for n in imports if (n.module or "").startswith("codegym")]
    assert hidden == []


@pytest.mark.parametrize("path", [*AGENTS, *EXAMPLES], ids=lambda p: str(p.relative_to(ROOT)))
def test_agents_and_examples_use_only_public_names(path: Path) -> None:
    import codegym

    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "codegym":
            module = node.module or ""
            assert module.count(".") <= 1, f"{path.name}:{node.lineno} reaches into {module}"
            room = codegym if module == "codegym" else getattr(codegym, module.split(".")[1])
            for alias in node.names:
                assert alias.name in room.__all__, f"{path.name}:{node.lineno}: {alias.name}"


def test_a_method_does_not_import_the_methods_that_are_made_of_it() -> None:
    """PPO knows no process reward model, and the parts know no method."""
    methods = {"agents.ppo", "agents.prm", "agents.reinforce", "agents.methods"}
    jobs = {"ppo", "train", "apps_plus"}
    for path in AGENTS:
        if path.parent.name != "agents":
            continue
        known = {
            alias.name if node.module == "agents" else f"agents.{alias.name}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module in ("agents", "agents.prm")
            for alias in node.names
        }
        modules = {m for m, _, _ in imports_of(path)} | {f"agents.{name}" for name in known}
        found = {m for m in modules if ".".join(m.split(".")[:2]) in methods}
        allowed = {"agents.ppo"} if path.stem in jobs else set()
        assert found <= allowed, f"agents/{path.name} imports {sorted(found - allowed)}"


@pytest.mark.parametrize("path", [*CORE, *AGENTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    """Length is a symptom, not a rule: a file of one idea may well have 500 lines."""
    assert len(path.read_text().splitlines()) <= 600


def test_no_room_without_a_question() -> None:
    names = {path.stem for path in [*CORE, *AGENTS]}
    assert not names & {"utils", "util", "common", "helpers", "misc"}


def test_every_module_function_and_class_is_documented() -> None:
    undocumented = []
    for path in [*CORE, *AGENTS]:
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            undocumented.append(str(path.relative_to(ROOT)))
        public = (ast.ClassDef, ast.FunctionDef)
        classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name[0] != "_"]
        scopes: list[ast.Module | ast.ClassDef] = [tree, *classes]
        for scope in scopes:
            for node in scope.body:
                if isinstance(node, public) and node.name[0] != "_" and not ast.get_docstring(node):
                    decorators = [ast.unparse(d) for d in node.decorator_list]
                    if not any("overload" in d or d.endswith(".setter") for d in decorators):
                        undocumented.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert undocumented == []


def test_importing_codegym_loads_no_heavy_library() -> None:
    code = (
        "import sys, codegym\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'stable_baselines3', 'pooch', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
