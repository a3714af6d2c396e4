"""Writes the pages that follow from the code, so that none can drift from it.

Sphinx's configuration calls :func:`write_pages` before it reads anything. There is a page for each
environment (the docstring of its data source, its splits, and what it is registered with), one for
each room's public names, one for each page of results that a benchmark wrote, and one for each
source file that a page links to.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import itertools
import os
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import codegym
from codegym.problems import SOURCES, load_mini
from codegym.problems.mini.generator import LEVELS, SHAPES

__all__ = ["site_links", "write_pages"]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
ROOMS = [
    *("problems", "tokenization", "programs", "start_states", "execution", "grading"),
    *("serving", "masks", "rewards", "envs", "wrappers", "integrations", "errors"),
]
# Modules without public names of their own, whose docstring others lead to.
MODULES = [
    *("execution.isolation", "grading.printed", "problems.overlap", "problems.reading.cases"),
    *("problems.sources.custom", "problems.sources.verl", "programs.answer"),
]
_MODULE_PAGES = {
    ROOT / "codegym" / f"{name.replace('.', '/')}.py": f"api/{name}.md" for name in MODULES
}
ROOT_PAGES = {
    name: f"{name.lower()}" for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
}

_LINK = re.compile(r"(!?)\[([^][]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def write_pages() -> None:
    """Writes docs/environments, docs/api, docs/results/full, and the root's pages anew."""
    pages = {**_environments(), **_api(), **_results(), **_sources()}
    for name, page in ROOT_PAGES.items():
        pages[page] = site_links((ROOT / name).read_text(encoding="utf-8"), ROOT, DOCS)
    for folder in ("environments", "api", "results/full", "source"):
        keep = {path for path in pages if path.startswith(f"{folder}/")}
        _remove_others(DOCS / folder, keep)
    for path, text in pages.items():
        _write(DOCS / path, text)
    for picture in RESULTS.glob("*.png"):
        shutil.copy2(picture, DOCS / "results" / "full" / picture.name)


def site_links(text: str, folder: Path, page_folder: Path) -> str:
    """Leads the links of a page to what the site has of the files that they name.

    Args:
        text: The page in Markdown.
        folder: The folder that its links begin at.
        page_folder: The folder below docs/ that the site's page is in.

    Returns:
        The page. A link to a folder becomes plain text, as the site has no folders.
    """

    def lead(match: re.Match[str]) -> str:
        mark, label, link, anchor = match.groups()
        target = (folder / link).resolve()
        if target.is_dir():
            return label
        if target.parent == RESULTS and target.suffix in (".md", ".png"):
            target = DOCS / "results" / "full" / target.name
        elif target.parent == ROOT and target.name in ROOT_PAGES:
            target = DOCS / ROOT_PAGES[target.name]
        elif target in _MODULE_PAGES:
            target = DOCS / _MODULE_PAGES[target]
        elif _is_source(target):
            target = DOCS / _page_of(target)
        return f"{mark}[{label}]({os.path.relpath(target, page_folder)}{anchor or ''})"

    return _LINK.sub(lead, text)


def _is_source(target: Path) -> bool:
    """Whether the site shows a file on a page of its own, as it has no page otherwise."""
    return target.suffix in (".py", ".txt") and target.is_relative_to(ROOT) and target.is_file()


def _page_of(source: Path) -> str:
    return f"source/{source.relative_to(ROOT)}.md"


def _sources() -> dict[str, str]:
    """The pages of the source files that other pages link to."""
    readers = [ROOT / name for name in ROOT_PAGES] + [
        path for folder in (DOCS, DOCS / "results") for path in folder.glob("*.md")
    ]
    linked = {
        (page.parent / match[3]).resolve()
        for page in readers
        for match in _LINK.finditer(page.read_text(encoding="utf-8"))
    }
    pages = {}
    for source in filter(_is_source, linked - set(_MODULE_PAGES)):
        page = _page_of(source)
        path = os.path.relpath(source, (DOCS / page).parent)
        language = "python" if source.suffix == ".py" else "text"
        pages[page] = (
            f"---\norphan: true\n---\n\n# {source.relative_to(ROOT)}\n\n"
            f"```{{literalinclude}} {path}\n:language: {language}\n```\n"
        )
    return pages


def _write(path: Path, text: str) -> None:
    # A page that did not change keeps its date, so that Sphinx does not read it again.
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _remove_others(folder: Path, keep: set[str]) -> None:
    for path in folder.rglob("*.md"):
        if str(path.relative_to(DOCS)) not in keep:
            path.unlink()


def _environments() -> dict[str, str]:
    """The pages of all environments, by path, and their index."""
    rows, pages = [], {}
    for env_id, arguments in codegym.ENVIRONMENTS.items():
        about = _markdown(_source_docstring(arguments["source"]))
        title, *_ = about.split("\n\n")
        rows.append(f"| [{env_id}]({env_id}.md) | {_first_sentence(title)} |")
        pages[f"environments/{env_id}.md"] = _environment(env_id, about)
    pages["environments/index.md"] = "\n".join(
        [
            "# Environments\n",
            "All ids work with `gymnasium.make` and `gymnasium.make_vec` and take the same keyword",
            "arguments. A data set is looked for at `data=`, in `$CODEGYM_DATA`, in the user's",
            "cache, and is then downloaded once.\n",
            "| id | problems |\n|---|---|",
            *rows,
            "\n## The rules of all of them\n",
            re.sub(r"^## ", "### ", _markdown(inspect.getdoc(codegym.CodeEnv) or ""), flags=re.M),
            "\n```{toctree}\n:hidden:\n",
            *codegym.ENVIRONMENTS,
            "```\n",
        ]
    )
    return pages


def _environment(env_id: str, about: str) -> str:
    arguments = codegym.ENVIRONMENTS[env_id]
    data = "" if arguments["source"] == "mini" else ', data="FILE"'
    table = "\n".join(f"| `{name}` | `{value!r}` |" for name, value in arguments.items())
    source = SOURCES[arguments["source"]]
    splits = ", ".join(f"`{split!r}`" for split in source.splits)
    default = "the first" if data == "" else "all rows"
    mini = "" if data else f"\n{_mini()}"
    return f"""# {env_id}

{about}

Splits: {splits}; without `split=`, {default}.
{mini}
```python
import gymnasium
import codegym

env = gymnasium.make("{env_id}"{data})
envs = gymnasium.make_vec("{env_id}", num_envs=8{data})
```

| part | value |
|---|---|
| Action space | `Discrete(n)`: one token id of the tokenizer |
| Observation space | `Dict` of `input_ids`, ({arguments["context_length"]},) int64, and \
`attention_mask`, ({arguments["context_length"]},) int8 |
| Reward | in the last step, of the program's grade |
| Entry points | `codegym.CodeEnv`, `codegym.CodeVectorEnv` |

Registered with these arguments, each of which `gymnasium.make` can override:

| argument | value |
|---|---|
{table}

Rewards, starting states, the end of an episode, `info` and all other arguments are those of
[every environment](index.md#the-rules-of-all-of-them).
"""


def _mini() -> str:
    """What Mini can be asked for, and one of its problems."""
    levels = ", ".join(
        f"`{name!r}` ({fewest if fewest == most else f'{fewest} to {most}'})"
        for name, (fewest, most) in LEVELS.items()
    )
    shapes = ", ".join(f"`{shape!r}`" for shape in SHAPES)
    problem = load_mini(difficulty="interview", size=1)[0]
    return (
        f"Difficulties, by number of conditional statements: {levels}; without `difficulty=`, "
        f"the three in turn. Programs of three shapes, {shapes}, and other numbers of "
        "conditionals are made by {py:func}`codegym.problems.load_mini`, which says what they are:"
        ' `gymnasium.make("CodeGen-Mini-v0", problems=load_mini(shape="dispatch"))`.\n\n'
        f"One problem, `{problem.id}`, as its canonical solution; a prompt shows all up to the "
        f"end of the line of `def`:\n\n```python\n{problem.canonical_solution}```\n"
    )


def _source_docstring(source: str) -> str:
    """The docstring of the module that is named after a source."""
    places = sorted((ROOT / "codegym" / "problems").rglob(f"{source}.py"), key=_outside_sources)
    tree = ast.parse(places[0].read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or ""


def _outside_sources(path: Path) -> bool:
    return path.parent.name != "sources"


def _api() -> dict[str, str]:
    pages = {
        f"api/{name}.md": _room(name, importlib.import_module(f"codegym.{name}")) for name in ROOMS
    }
    for name in MODULES:
        pages[f"api/{name}.md"] = (
            f"# codegym.{name}\n\n```{{eval-rst}}\n.. automodule:: codegym.{name}\n```\n"
        )
    listed = "\n".join(
        f"| [codegym.{name}]({name}.md) | {_first_sentence(_markdown(_doc(name)))} |"
        for name in ROOMS
    )
    toctree = "\n".join([*ROOMS, *MODULES])
    modules = ", ".join(f"[codegym.{name}]({name}.md)" for name in MODULES)
    own = ", ".join(f"`{name}`" for name in codegym.__all__ if name not in ROOMS)
    pages["api/index.md"] = (
        "# API reference\n\nThe rooms of the package in the order in which data flows; a room "
        "imports only from rooms before it.\n\n| room | question |\n|---|---|\n"
        f"{listed}\n\nThe package itself has what is needed most: {own}.\n\n"
        f"Modules whose rules have a page: {modules}.\n\n"
        f"```{{toctree}}\n:hidden:\n\n{toctree}\n```\n"
    )
    return pages


def _doc(name: str) -> str:
    return inspect.getdoc(importlib.import_module(f"codegym.{name}")) or ""


def _room(name: str, room: ModuleType) -> str:
    blocks = "\n".join(_directive(f"codegym.{name}", room, public) for public in room.__all__)
    return f"# codegym.{name}\n\n{_markdown(_doc(name))}\n\n```{{eval-rst}}\n{blocks}\n```\n"


def _directive(module: str, room: ModuleType, name: str) -> str:
    value = getattr(room, name)
    if inspect.isclass(value):
        options = "" if module.endswith("errors") else "".join(_options(value))
        return f".. autoclass:: {module}.{name}{options}\n"
    if inspect.isfunction(inspect.unwrap(value)):
        return f".. autofunction:: {module}.{name}\n"
    shown = f"\n   :value: {value!r}" if isinstance(value, tuple) else ""
    text = textwrap.indent(_constant_docstring(module, name), "   ")
    return f".. py:data:: {module}.{name}{shown}\n\n{text}\n"


def _options(value: type) -> Iterator[str]:
    """What autodoc is to show of a class besides its docstring."""
    yield "\n   :members:"
    if issubclass(value, enum.Enum):
        yield "\n   :undoc-members:"
    if "__call__" in vars(value):
        yield "\n   :special-members: __call__"
    if issubclass(value, tuple):  # named tuples: their docstrings list the fields
        yield f"\n   :exclude-members: {', '.join(getattr(value, '_fields', ()))}"


def _constant_docstring(room: str, name: str) -> str:
    """The text below a constant, which autodoc does not find where a room hands it on."""
    for path in sorted((ROOT / room.replace(".", "/")).rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, below in itertools.pairwise(body):
            match statement, below:
                case (
                    ast.Assign(targets=[ast.Name(id=found)])
                    | ast.AnnAssign(target=ast.Name(id=found)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ) if found == name:
                    return inspect.cleandoc(text)
    return ""


def _results() -> dict[str, str]:
    pages, names = {}, []
    titles: set[str] = set()
    for path in sorted(RESULTS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        stem = path.stem.replace("_", " ")
        if not text.startswith("# "):
            text = f"# {stem.capitalize()}\n\n{text}"
        title, rest = text.split("\n", 1)
        if title in titles:  # two pages of one benchmark
            title = f"{title}: {stem}"
        titles.add(title)
        pages[f"results/full/{path.name}"] = f"{title}\n{rest}"
        names.append(path.stem)
    listed = "\n".join(names)
    pages["results/full/index.md"] = (
        "# Pages of the benchmarks\n\nAs the benchmarks wrote them, with their commands and "
        f"machines.\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    )
    return pages


def _markdown(docstring: str) -> str:
    """A docstring's reStructuredText as Markdown: its roles, and its sections of Google's style."""
    text = re.sub(r":(class|func|meth|mod|attr|data|exc):`", r"{py:\1}`", docstring)
    text = re.sub(r"^(Raises|Args|Returns|Example|Attributes):\n", r"## \1\n\n", text, flags=re.M)
    return "\n\n".join(_paragraphs(text))


def _paragraphs(text: str) -> Iterator[str]:
    for part in text.split("\n\n"):
        inner = textwrap.dedent(part)
        if inner.lstrip().startswith(">>>"):
            yield f"```pycon\n{inner.strip()}\n```"
        elif part.startswith("    ") and re.match(r"\w+: ", inner):
            yield re.sub(r"^(\w+): ", r"- `\1`: ", inner, flags=re.M)
        elif part.startswith("=="):
            yield f"```{{eval-rst}}\n{part}\n```"
        else:
            yield part


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.?])\s", text.replace("\n", " "), maxsplit=1)[0]
