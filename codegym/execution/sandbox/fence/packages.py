"""Which installed packages a program can import, and where their files are.

A program sees the standard library and what was named, with what that depends on. Nothing else of
`site-packages` can be imported: no folder of packages is on `sys.path`, where one name would bring
in all the others. Files are told by the installer's own records, read as text: `importlib.metadata`
would take as long to import as all the rest.
"""

from __future__ import annotations

import functools
import glob
import os
import re
import site
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

_OURS = "codegym"
_SHARES = re.compile(r"^include-system-site-packages\s*=\s*true\s*$", re.MULTILINE | re.IGNORECASE)
_REQUIRED = re.compile(r"^Requires-Dist: *([\w.-]+)(?!.*;.*\bextra\b)", re.MULTILINE)


def folders() -> list[str]:
    """Where packages are installed for this interpreter; `-S` leaves them out.

    A virtual environment has its own alone, unless it was made to share those of the system.
    """
    binaries = os.path.dirname(os.path.abspath(sys.executable))
    home = os.path.dirname(binaries)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for place in (binaries, home):
        try:
            with open(os.path.join(place, "pyvenv.cfg"), encoding="utf-8") as file:
                shares = _SHARES.search(file.read())
        except OSError:
            continue
        own = [os.path.join(home, lib, version, "site-packages") for lib in ("lib", "lib64")]
        found = [*own, *(_of_the_system() if shares else ())]
        break
    else:
        found = _of_the_system()
    return list(dict.fromkeys(os.path.realpath(each) for each in found if os.path.isdir(each)))


def _of_the_system() -> list[str]:
    return site.getsitepackages([sys.base_prefix, sys.base_exec_prefix])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Distribution:
    """What one installation put into a folder of packages.

    Args:
        metadata: The package's `.dist-info` or `.egg-info`.
    """

    def __init__(self, metadata: str) -> None:
        self.metadata = metadata
        self.folder, base = os.path.split(metadata)
        self.name = _normal(base.rpartition(".")[0].partition("-")[0])

    def _text(self, name: str) -> str:
        try:
            with open(os.path.join(self.metadata, name), encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    @functools.cached_property
    def paths(self) -> set[str]:
        """Files and folders that are its own, none of which lies in another."""
        rows = [line.partition(",")[0].strip('"') for line in self._text("RECORD").splitlines()]
        if not rows:  # a package of the system, or an old one
            names = self._text("top_level.txt").split() or [self.name.replace("-", "_")]
            patterns = [os.path.join(self.folder, n) + end for n in names for end in ("", ".*")]
            return {self.metadata, *(path for each in patterns for path in glob.glob(each))}
        found: set[str] = set()
        whole = {"", ".", "..", os.path.basename(self.metadata)}
        for first, *rest in (row.split("/") for row in rows):
            if first not in whole:
                path, is_whole = self._own(first, rest)
                found.add(path)
                if is_whole:
                    whole.add(first)
        return {self.metadata, *found}

    def _own(self, first: str, rest: list[str]) -> tuple[str, bool]:
        """The shortest way to a file that leads through no folder of several distributions.

        Also whether it is that of all files that begin like this one.
        """
        path = os.path.join(self.folder, first)
        if first.endswith((".libs", ".data")) or os.path.exists(os.path.join(path, "__init__.py")):
            return path, True
        for part in rest:
            path = os.path.join(path, part)
            if os.path.exists(os.path.join(path, "__init__.py")):
                break
        return path, not rest

    def modules(self) -> set[str]:
        """Names that can be imported."""
        below = (os.path.relpath(path, self.folder).split(os.sep)[0] for path in self.paths)
        names = {name.partition(".")[0] for name in below if not name.endswith("-info")}
        return {name for name in names if name.isidentifier() and name != "__pycache__"}

    def requires(self) -> list[str]:
        """Normalised names of what it depends on, whatever the platform; no extras."""
        head = self._text("METADATA").partition("\n\n")[0]
        return [_normal(name) for name in _REQUIRED.findall(head)]

    def holds(self, module: str) -> bool:
        """Whether it is where a module comes from, by a look that costs little."""
        start = re.compile(rf"^{re.escape(module)}(/|\.py,|\.[\w.-]*so,|$)", re.MULTILINE)
        return bool(start.search(self._text("top_level.txt") + "\n" + self._text("RECORD")))


Part = tuple[tuple[str, ...], tuple[str, ...]] | None
"""Names of distributions and of their modules; None: all that there are."""


class Packages:
    """What programs can import besides the standard library.

    A worker has those of all its programs; a child keeps those of its own program, so that what a
    program can import does not depend on what ran before it.

    Args:
        names: Names as in `import NAME`; what is not installed is left out.
        places: The folders to look in, see :func:`folders`.

    Attributes:
        names: All that can be imported, dependencies included.
        paths: Files and folders that must be readable for that.
    """

    def __init__(self, names: Iterable[str], places: Iterable[str]) -> None:
        places = list(places)
        self._chosen = _closure(names, _installed(places))
        self.paths = sorted({path for one in self._chosen.values() for path in one.paths})
        self._specs = dict(_find(sorted(_modules(self._chosen) - {_OURS}), places))
        self.names = sorted(self._specs)
        self._parts: dict[tuple[str, ...], Part] = {}

    def part(self, names: Iterable[str]) -> Part:
        """What some names stand for, with all that it depends on."""
        key = tuple(names)
        if key not in self._parts:
            chosen = _closure(key, self._chosen)
            modules = sorted(_modules(chosen).intersection(self.names))
            whole = len(chosen) == len(self._chosen)
            self._parts[key] = None if whole else (tuple(chosen), tuple(modules))
        return self._parts[key]

    def keep(self, part: Part) -> None:
        """From now on, nothing else is found."""
        if part is not None:
            distributions, modules = part
            self._chosen = {name: self._chosen[name] for name in distributions}
            self._specs = {name: self._specs[name] for name in modules}

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """As an entry of `sys.meta_path`: finds top-level modules."""
        return self._specs.get(name) if path is None else None

    def find_distributions(self, context: Any) -> Iterator[Any]:
        """As an entry of `sys.meta_path`: finds what `importlib.metadata` asks for."""
        from importlib.metadata import PathDistribution
        from pathlib import Path

        every = [one.metadata for one in self._chosen.values()]
        for found in (PathDistribution(Path(metadata)) for metadata in every):
            if context.name is None or _normal(context.name) == _normal(found.name):
                yield found


def _installed(places: list[str]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    for place in places:
        for entry in sorted(os.listdir(place)):
            if entry.endswith((".dist-info", ".egg-info")):
                one = Distribution(os.path.join(place, entry))
                found.setdefault(one.name, one)
    found.pop(_OURS, None)
    return found


def _modules(chosen: dict[str, Distribution]) -> set[str]:
    return {name for one in chosen.values() for name in one.modules()}


def _closure(names: Iterable[str], installed: dict[str, Distribution]) -> dict[str, Distribution]:
    """Where these modules come from, and all that is required by what they come from."""
    chosen: dict[str, Distribution] = {}
    wanted = [found.name for name in names if (found := _owner(name, installed)) is not None]
    while wanted:
        name = wanted.pop()
        if name in installed and name not in chosen:
            chosen[name] = installed[name]
            wanted += chosen[name].requires()
    return chosen


def _owner(module: str, installed: dict[str, Distribution]) -> Distribution | None:
    named = installed.get(_normal(module))
    if named is not None and module in named.modules():
        return named
    return next((one for one in installed.values() if one.holds(module)), None)


def _find(modules: list[str], places: list[str]) -> Iterator[tuple[str, ModuleSpec]]:
    for name in modules:
        spec = PathFinder.find_spec(name, places)
        if spec is not None and name not in sys.stdlib_module_names:
            yield name, spec
    for folder in places:  # what else is there is nobody's business
        sys.path_importer_cache.pop(folder, None)
