"""A policy as a plain checkpoint, which transformers and vLLM load: an adapter is merged.

    python -m agents.export runs/ppo/policy --out runs/ppo/merged

Writes an ``AutoModelForCausalLM`` folder, and the tokenizer where it is known: the one that is
named, or else that of the run in whose folder the policy is, or of the base of its adapter.
codegym's own tokenizers ("mini", "byte") have no such files.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from transformers import AutoTokenizer

from agents.command import command_line, main
from agents.folders import replacing
from agents.hub import loading
from agents.lora import base_name, has_adapter, merge_adapter
from agents.policy import CausalLMPolicy
from codegym.errors import ConfigurationError

__all__ = ["Args", "export"]

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """A policy as a plain checkpoint."""

    model: Annotated[Path, tyro.conf.Positional]
    """folder of a saved policy, such as runs/ppo/policy"""
    out: Path
    """gets the checkpoint; a folder that is not there"""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """of its weights"""
    tokenizer: str | None = None
    """name or folder of the tokenizer; None: the one that the run or the adapter's base has"""


def export(args: Args) -> str:
    """Writes the checkpoint.

    Args:
        args: The command line.

    Returns:
        What was written, in a sentence.

    Raises:
        ConfigurationError: If the policy cannot be loaded, or `out` is there.
    """
    if not (args.model / "policy.json").is_file():
        raise ConfigurationError(
            f"Expected the folder of a saved policy, such as runs/ppo/policy, but {args.model} has "
            "no policy.json."
        )
    if args.out.exists():
        raise ConfigurationError(f"{args.out} is there already. Name a folder that is not.")
    dtype: torch.dtype = getattr(torch, args.dtype)
    trunk = CausalLMPolicy.from_pretrained(args.model, dtype=dtype).trunk
    tokenizer = args.tokenizer or _of_the_run(args.model)
    if has_adapter(trunk):
        tokenizer = tokenizer or base_name(trunk)
        merge_adapter(trunk)
    with replacing(args.out) as draft:
        trunk.save_pretrained(draft)
        said = _save_tokenizer(tokenizer, draft, asked=args.tokenizer is not None)
    return f"{type(trunk).__name__} in {args.dtype}, in {args.out}; {said}."


def _of_the_run(policy: Path) -> str | None:
    """The tokenizer in the settings of the run that a policy's folder is, or is in."""
    for folder in (policy, policy.parent, policy.parent / "good"):  # the first is SFT's
        if (folder / "settings.json").is_file():
            with loading(folder, "the settings of a run"):
                return str(json.loads((folder / "settings.json").read_text())["tokenizer"])
    return None


def _save_tokenizer(name: str | None, folder: Path, *, asked: bool) -> str:
    if name is None or name in ("mini", "byte"):
        return f"no tokenizer, because it is {name or 'not known'}: name one with --tokenizer"
    name = name.removeprefix("hf:")
    if Path(name).is_dir() and not any((Path(name) / file).is_file() for file in _FILES):
        # transformers would make up an empty one.
        return f"no tokenizer, because there is none in {name}: name one with --tokenizer"
    try:
        with loading(name, "a tokenizer") as where:
            AutoTokenizer.from_pretrained(where).save_pretrained(folder)
    except ConfigurationError:
        if asked:
            raise
        return f"no tokenizer, because {name} has none: name one with --tokenizer"
    return f"its tokenizer is that of {name}"


def _main() -> None:
    print(export(command_line(Args)))


if __name__ == "__main__":
    main(_main)
