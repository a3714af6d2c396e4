"""`codegym envs`: the ids, the data behind each, and where that is on this machine."""

from __future__ import annotations

import dataclasses
from typing import Any

from codegym.commands.console import Console
from codegym.commands.options import Common
from codegym.errors import DataError
from codegym.problems import SOURCES, GeneratedSource, Source
from codegym.problems.files.locate import find_here, how_to_get
from codegym.registration import ENVIRONMENTS

__all__ = ["Args", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args(Common):
    """Lists the environments, the source of their problems, and where its data was found.

    Nothing is downloaded. The exit status is 0, or 1 if a data file is there and cannot be used.
    """


def run(_args: Args, console: Console) -> int:
    """The command.

    Args:
        _args: The command line.
        console: Where it prints.

    Returns:
        0, or 1 if a data file cannot be used.
    """
    found = [_environment(name, str(kwargs["source"])) for name, kwargs in ENVIRONMENTS.items()]
    console.table(
        "environments",
        ("id", "source", "splits", "data"),
        ((e["id"], e["source"], ", ".join(e["splits"]), _told(e)) for e in found),
    )
    missing = [f for e in found for f in e["files"] if f["path"] is None and not f["problem"]]
    if missing:
        console.print("Files that are not here are downloaded when they are needed, or by hand:")
        for file in missing:
            console.print(f"  {file['command']}")
    console.json({"environments": found})
    return 1 if any(file["problem"] for e in found for file in e["files"]) else 0


def _environment(env_id: str, name: str) -> dict[str, Any]:
    source = SOURCES[name]
    return {
        "id": env_id,
        "source": name,
        "splits": list(source.splits),
        "kind": _kind(source),
        "has_sample": isinstance(source, Source) and source.sample is not None,
        "files": _files(source),
    }


def _kind(source: Source | GeneratedSource) -> str:
    if isinstance(source, GeneratedSource):
        return "generated"
    if source.packaged is not None:
        return "packaged"
    return "files" if source.files else "named by the user"


def _files(source: Source | GeneratedSource) -> list[dict[str, str | None]]:
    if isinstance(source, GeneratedSource):
        return []
    found = []
    for file in source.files:
        path, problem = None, None
        try:
            path = find_here(file)
        except (DataError, OSError) as error:
            problem = str(error)
        found.append(
            {
                "name": file.name,
                "path": None if path is None else str(path),
                "problem": problem,
                "url": file.url,
                "command": how_to_get(file),
            }
        )
    return found


def _told(environment: dict[str, Any]) -> str:
    """Where the data of an environment is, in a line a file."""
    if environment["kind"] == "generated":
        return "generated, needs none"
    if environment["kind"] == "packaged":
        return "ships with the package"
    if environment["kind"] == "named by the user":
        return "your own file: data=FILE"
    lines = [
        f["path"] or (f"{f['name']}: {f['problem']}" if f["problem"] else f"{f['name']}: not here")
        for f in environment["files"]
    ]
    sample = ['a sample ships with the package: data="sample"'] * environment["has_sample"]
    return "\n".join([*lines, *sample])
