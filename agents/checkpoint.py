"""Everything that a PPO run needs to go on, in one folder.

::

    policy/        the policy, as CausalLMPolicy.save_pretrained writes it, and critic/ in it
    reference/     the frozen reference, the same way
    best/          the best policy so far, the same way
    state.pt       iteration, episodes, seconds, optimiser, start states, sampler, guard, and what
                   the method keeps besides
    settings.json  of the run

Written by :func:`agents.folders.replacing`, so a folder that exists is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar, get_args, get_type_hints

import torch

from agents.critic import Critic
from agents.folders import replacing
from agents.policy import CausalLMPolicy
from codegym.errors import ConfigurationError

__all__ = [
    "TrainerState",
    "load",
    "refuse_to_replace",
    "require_settings",
    "save",
    "save_settings",
    "saved_iteration",
    "saved_settings",
]

Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True, slots=True)
class TrainerState:
    """What a run needs beside its weights.

    Attributes:
        iteration: Iterations done.
        episodes: Episodes played.
        seconds: Of PPO so far, without evaluations.
        optimizer: Its state dict.
        start_states: State dict of the start distribution.
        sampler: State dict of the problem sampler.
        guard: Fields of the guard's state.
        solved: Share of episodes that passed, for each iteration since the guard's last check.
        method: What the method keeps besides, such as a buffer of episodes: tensors and plain data.
        processes: How many trained together.
    """

    iteration: int
    episodes: int
    seconds: float
    optimizer: dict[str, Any]
    start_states: dict[str, Any]
    sampler: dict[str, Any]
    guard: dict[str, Any]
    solved: list[float]
    method: dict[str, Any] = dataclasses.field(default_factory=dict)
    processes: int = 1


def save(
    folder: Path,
    *,
    policy: CausalLMPolicy,
    critic: Critic | None,
    reference: CausalLMPolicy,
    best: Path,
    state: TrainerState,
    settings: Mapping[str, Any],
) -> None:
    """Writes a checkpoint; one of the same name is replaced.

    Args:
        folder: Where.
        policy: As it is now.
        critic: As it is now; None where there is none.
        reference: Frozen.
        best: Folder of the best policy so far, if there is one.
        state: The rest.
        settings: Of the run, by name.
    """
    with replacing(folder) as draft:
        policy.save_pretrained(draft / "policy")
        if critic is not None:
            critic.save_pretrained(draft / "policy")
        reference.save_pretrained(draft / "reference")
        if best.is_dir():
            shutil.copytree(best, draft / "best")
        fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
        torch.save(fields, draft / "state.pt")
        save_settings(draft, settings)


def load(
    folder: Path, *, policy: CausalLMPolicy, critic: Critic | None, reference: CausalLMPolicy
) -> TrainerState:
    """Restores the models in place and returns the rest.

    Args:
        folder: Written by :func:`save`.
        policy: Of the same shape; its weights are replaced.
        critic: Of the same shape; its weights are replaced. None where there is none.
        reference: Of the same shape; its weights are replaced.

    Returns:
        Iteration, optimiser, start states and sampler.

    Raises:
        ConfigurationError: If the folder is not a checkpoint, or a damaged one.
    """
    _require_checkpoint(folder)
    with _readable(folder):
        state = TrainerState(**_read_state(folder))
    policy.load(folder / "policy")
    reference.load(folder / "reference")
    if critic is not None:
        critic.load(folder / "policy")
    return state


def save_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes the settings of a run to a folder that is there.

    Args:
        folder: Where.
        settings: By name.
    """
    (folder / "settings.json").write_text(_to_json(settings))


def require_settings(folder: Path, settings: Mapping[str, Any], *, may_differ: Set[str]) -> None:
    """Makes sure that a run goes on as it began.

    Args:
        folder: Written by :func:`save`.
        settings: Of the run that goes on.
        may_differ: Names of settings that decide nothing that is learned.

    Raises:
        ConfigurationError: If the folder is not a checkpoint, or another setting differs.
    """
    _require_checkpoint(folder)
    with _readable(folder):
        then = json.loads((folder / "settings.json").read_text())
    now = json.loads(_to_json(settings))
    names = sorted((then.keys() | now.keys()) - may_differ)
    changed = [
        f"{name} was {then.get(name)!r} and is {now.get(name)!r}"
        for name in names
        if then.get(name) != now.get(name)
    ]
    if changed:
        raise ConfigurationError(
            f"A resumed run needs the settings that it began with, but {'; '.join(changed)}. Leave "
            f"them out, or begin a new run from the policy with model={str(folder / 'policy')!r}."
        )


def saved_settings(folder: Path, settings: type[Settings]) -> Settings:
    """The settings of the run that wrote a checkpoint.

    Args:
        folder: Written by :func:`save`.
        settings: Their dataclass.

    Returns:
        The settings, those that name this machine's folders included.

    Raises:
        ConfigurationError: If the folder is not a checkpoint, or was written by another version.
    """
    _require_checkpoint(folder)
    with _readable(folder):
        values = json.loads((folder / "settings.json").read_text())
    kinds = get_type_hints(settings)
    if values.keys() != kinds.keys():
        raise ConfigurationError(
            f"{folder} was written by another method, or by another version of codegym's agents: "
            f"its settings and ours differ in {', '.join(sorted(values.keys() ^ kinds.keys()))}."
        )
    return settings(**{name: _from_json(value, kinds[name]) for name, value in values.items()})


def saved_iteration(folder: Path) -> int:
    """Where the run stood that wrote a checkpoint, whatever its folder is called.

    Args:
        folder: Written by :func:`save`.

    Returns:
        The number of iterations that were done.

    Raises:
        ConfigurationError: If the folder is not a checkpoint, or a damaged one.
    """
    _require_checkpoint(folder)
    with _readable(folder):
        return int(_read_state(folder)["iteration"])


def refuse_to_replace(out: Path) -> None:
    """Refuses the folder of a run that could go on to a new run, which would write over it.

    Args:
        out: Where the new run is to write.

    Raises:
        ConfigurationError: If it holds a checkpoint, or the last good state.
    """
    found = [*sorted(out.glob("checkpoints/*/state.pt")), *out.glob("good/state.pt")]
    if found:
        latest = max((path.parent for path in found), key=saved_iteration)
        raise ConfigurationError(
            f"{out} holds a run that came to iteration {saved_iteration(latest)} or further, and a "
            f"new one would write over it. Go on with it (--resume {latest}), choose another "
            "--out, or delete the folder."
        )


def _read_state(folder: Path) -> dict[str, Any]:
    # On the CPU: the device that wrote it need not be here, and the optimiser moves what it takes.
    state: dict[str, Any] = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    return state


def _require_checkpoint(folder: Path) -> None:
    files = ("state.pt", "settings.json", "policy/policy.json", "reference/policy.json")
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"{folder} is not a checkpoint: expected a folder with policy/, reference/, best/, "
            "state.pt and settings.json, such as runs/ppo/checkpoints/000040, but "
            f"{' and '.join(missing)} cannot be found."
        )


@contextlib.contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """What a damaged file raises, as an error of ours."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, UnpicklingError) as e:
        raise ConfigurationError(
            f"The checkpoint {folder} is damaged ({type(e).__name__}: {e}). Resume from another "
            "one; good/ in the run's folder is the last state that passed the guard."
        ) from e


def _to_json(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), indent=1, default=str) + "\n"


def _from_json(value: Any, kind: Any) -> Any:
    """JSON has no paths and no tuples."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and (kind is Path or Path in get_args(kind)):
        return Path(value)
    return value
