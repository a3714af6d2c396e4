"""Low-rank adapters (LoRA, arXiv 2106.09685) by peft: little is learned, the base stands still.

The linear layers of a trunk get two small float32 matrices each; the base's own weights need no
gradient, in whatever dtype they are. A trunk stays a ``PreTrainedModel``, and its copies
(:func:`agents.trunk.copy_trunk`) share the base: the reference and a critic of its own are adapters
beside the policy's, on the same weights. No adapter is ever switched on or off, so models on one
base can be computed at once, and no gradient reaches another one's adapter.

Saved as peft saves an adapter, with a sample of the base's weights beside it::

    adapter_config.json         rank, alpha, layers, and the name of the base
    adapter_model.safetensors   the matrices
    base.json                   {"sample": [...]}, by which another base is recognised
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from agents.hub import loading
from codegym.errors import ConfigurationError

__all__ = [
    "ALL_LINEAR",
    "add_adapter",
    "add_saved_adapter",
    "base_name",
    "has_adapter",
    "merge_adapter",
    "plain_weights",
    "refuse_lost_base",
    "require_adapter",
    "restore_adapter",
    "save_adapter",
    "saved_adapter",
]

ALL_LINEAR = ("all-linear",)
"""Targets: every linear layer that reads text, but the output head."""
_NAME = "default"  # peft's, of an adapter that has none
_SAMPLE = 16


def add_adapter(
    trunk: PreTrainedModel,
    *,
    rank: int,
    alpha: float,
    targets: Sequence[str] = ALL_LINEAR,
    seed: int = 0,
    base: str | None = None,
) -> None:
    """Puts an adapter that changes nothing yet into a trunk, and freezes all other weights.

    Args:
        trunk: Without an adapter; changed in place.
        rank: Of the matrices.
        alpha: What they add is scaled by alpha / rank.
        targets: Names of linear layers, such as ``q_proj``.
        seed: Of the first of the two matrices, the second is 0; the global generator is left as it
            was.
        base: Where the trunk was loaded from; None: it knows.

    Raises:
        ConfigurationError: If peft is not installed, or there is no such layer.
    """
    peft = _peft()
    layers = _linear_layers(trunk)
    wanted = layers if tuple(targets) == ALL_LINEAR else set(targets)
    if not wanted or not wanted <= layers:
        raise ConfigurationError(
            f"lora_targets must be all-linear, or some of the linear layers "
            f"{', '.join(sorted(layers)) or '(there are none)'} of {type(trunk).__name__}, got "
            f"{', '.join(targets)}."
        )
    name = base or trunk.name_or_path or ""
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(Path(name).resolve()) if Path(name).is_dir() else name,
        r=rank,
        lora_alpha=alpha,
        target_modules=sorted(wanted),
        exclude_modules=sorted(_others(trunk)) or None,
        lora_dropout=0.0,  # else the first ratio of an update would not be 1
    )
    trunk.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(config, trunk, adapter_name=_NAME)
    for _, weight in _adapter_weights(trunk):
        weight.data = weight.data.float()


def has_adapter(trunk: PreTrainedModel) -> bool:
    """Whether there is an adapter in a trunk."""
    return hasattr(trunk, "peft_config")


def base_name(trunk: PreTrainedModel) -> str:
    """Where the base of a trunk with an adapter was loaded from."""
    return str(_config(trunk).base_model_name_or_path)


def require_adapter(
    trunk: PreTrainedModel, *, rank: int, alpha: float, targets: Sequence[str]
) -> None:
    """Makes sure that an adapter that was loaded is the one that was asked for.

    Args:
        trunk: With an adapter.
        rank: As for :func:`add_adapter`.
        alpha: The same.
        targets: The same.

    Raises:
        ConfigurationError: If it is another one.
    """
    config = _config(trunk)
    layers = _linear_layers(trunk) if tuple(targets) == ALL_LINEAR else set(targets)
    has = (config.r, config.lora_alpha, sorted(config.target_modules))
    if has != (rank, alpha, sorted(layers)):
        raise ConfigurationError(
            f"The saved policy has an adapter of rank {has[0]}, alpha {has[1]} on "
            f"{', '.join(has[2])}, but lora_rank={rank}, lora_alpha={alpha}, "
            f"lora_targets={' '.join(targets)} were asked for. Leave them out to train it further, "
            "or merge it into its base with python -m agents.export and begin another one there."
        )


def refuse_lost_base(trunk: PreTrainedModel, out: Path, names: Sequence[str]) -> None:
    """Refuses to write over the base of an adapter, without which the adapter is worth nothing.

    Args:
        trunk: With or without an adapter.
        out: Folder of the run.
        names: Of the folders in it that the run replaces.

    Raises:
        ConfigurationError: If the base is in one of them.
    """
    if not has_adapter(trunk):
        return
    base = Path(base_name(trunk))
    if any(base.is_relative_to((out / name).resolve()) for name in names):
        raise ConfigurationError(
            f"The base of the adapter is {str(base)!r}, which a run with out={str(out)!r} writes "
            "over, and an adapter is worth nothing without its base. Name another folder as out."
        )


def save_adapter(trunk: PreTrainedModel, folder: Path) -> None:
    """Writes the folder that the module's docstring describes.

    Args:
        trunk: With an adapter.
        folder: Made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _config(trunk).save_pretrained(str(folder))
    weights = {name: weight.detach().contiguous() for name, weight in _adapter_weights(trunk)}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "base.json").write_text(json.dumps({"sample": _sample(trunk)}) + "\n")


def saved_adapter(folder: Path) -> dict[str, Any]:
    """What a saved adapter is made of: arguments of :func:`add_adapter`, ``base`` among them.

    Args:
        folder: Written by :func:`save_adapter`.

    Returns:
        Rank, alpha, targets and base.

    Raises:
        ConfigurationError: If it is damaged.
    """
    with loading(folder, "an adapter"):
        config = json.loads((folder / "adapter_config.json").read_text())
        return {
            "rank": config["r"],
            "alpha": config["lora_alpha"],
            "targets": sorted(config["target_modules"]),
            "base": str(config["base_model_name_or_path"]),
        }


def add_saved_adapter(trunk: PreTrainedModel, folder: Path) -> None:
    """Puts an adapter of the same shape as a saved one into a trunk, which changes nothing yet.

    Args:
        trunk: Without an adapter; changed in place.
        folder: Written by :func:`save_adapter`.

    Raises:
        ConfigurationError: If it is damaged, peft is not installed, or there are no such layers.
    """
    with loading(folder, "an adapter"):
        add_adapter(trunk, **saved_adapter(folder))


def restore_adapter(trunk: PreTrainedModel, folder: Path) -> None:
    """Replaces the matrices by saved ones.

    Args:
        trunk: With an adapter of the same shape.
        folder: Written by :func:`save_adapter`.

    Raises:
        ConfigurationError: If they are damaged, of another rank or other layers, or were trained on
            another base.
    """
    with loading(folder, "an adapter"):
        saved = load_file(folder / "adapter_model.safetensors")
        sample = list(map(float, json.loads((folder / "base.json").read_text())["sample"]))
    mine = dict(_adapter_weights(trunk))
    shapes = [{name: w.shape for name, w in weights.items()} for weights in (saved, mine)]
    if shapes[0] != shapes[1]:
        config, has = _config(trunk), saved_adapter(folder)
        raise ConfigurationError(
            f"The adapter in {folder} does not fit the model: it has rank {has['rank']} on "
            f"{', '.join(sorted(has['targets']))} of {has['base']}, expected rank {config.r} on "
            f"{', '.join(sorted(config.target_modules))} of {config.base_model_name_or_path}."
        )
    here = _sample(trunk)
    # Another dtype of the same weights has other last digits.
    same = len(sample) == len(here) and all(
        math.isclose(a, b, rel_tol=0.01, abs_tol=1e-6) for a, b in zip(sample, here, strict=True)
    )
    if not same:
        raise ConfigurationError(
            f"The adapter in {folder} was trained on other weights than those that are now in "
            f"{base_name(trunk)!r}. Put its base back there, or name where it is as "
            f"base_model_name_or_path in {folder / 'adapter_config.json'}."
        )
    with torch.no_grad():
        for name, weight in mine.items():
            weight.copy_(saved[name])


def merge_adapter(trunk: PreTrainedModel) -> None:
    """Adds what the adapter says to the base's weights, and takes it out: a plain model is left.

    Args:
        trunk: With an adapter; changed in place, in the base's dtype.
    """
    for name, layer in list(trunk.named_modules()):
        if not hasattr(layer, "lora_A"):
            continue
        merged = layer.base_layer
        merged.weight.data = _merged(layer)
        parent, _, child = name.rpartition(".")
        setattr(trunk.get_submodule(parent), child, merged)
    del trunk.peft_config


def plain_weights(trunk: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The weights of a model under the names of its checkpoint, an adapter merged into them.

    Args:
        trunk: With or without an adapter; not changed.

    Yields:
        Name and weight; a merged one is made when its turn comes, in the base's dtype.
    """
    for name, weight in trunk.named_parameters():
        if ".lora_" in name:
            continue
        layer, is_base, _ = name.rpartition(".base_layer.weight")
        merged = _merged(trunk.get_submodule(layer)) if is_base else weight.detach()
        yield name.replace(".base_layer.", "."), merged


def _merged(layer: Any) -> Tensor:
    """The weight of a layer with what its adapter adds, in the base's dtype."""
    base = layer.base_layer.weight.detach()
    merged: Tensor = (base.float() + layer.get_delta_weight(_NAME).detach()).to(base.dtype)
    return merged


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ConfigurationError(
            "Adapters (lora_rank above 0, or a policy that was saved with one) need peft, which "
            f"cannot be imported ({error}). Install it: pip install -e '.[agents,llm]'"
        ) from error
    return peft


def _config(trunk: PreTrainedModel) -> Any:
    configs: Any = trunk.peft_config
    return configs[_NAME]


def _linear_layers(trunk: PreTrainedModel) -> set[str]:
    """Names of the linear layers that read text, whether or not they have an adapter."""
    return {name.rpartition(".")[2] for name in _linear_modules(_text(trunk))}


def _others(trunk: PreTrainedModel) -> set[str]:
    """Linear layers below the output head that read no text, such as those of a picture's reader.

    By their names from the base model on, as the last part alone may be that of a layer of text.
    """
    text = {id(module) for module in _text(trunk).modules()}
    every = _linear_modules(trunk.base_model)
    return {name for name, module in every.items() if id(module) not in text}


def _text(trunk: PreTrainedModel) -> nn.Module:
    """The part that reads text; in most models, all but the output head."""
    part: nn.Module = trunk.get_decoder()  # type: ignore[no-untyped-call]
    return part


def _linear_modules(module: nn.Module) -> dict[str, nn.Module]:
    """By name; of a layer with an adapter, the layer itself."""
    return {
        name.removesuffix(".base_layer"): layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and ".lora_" not in name
    }


def _adapter_weights(trunk: PreTrainedModel) -> list[tuple[str, nn.Parameter]]:
    """The adapter's matrices under the names that they have in peft's files."""
    return [
        (f"base_model.model.{name.replace(f'.{_NAME}.', '.')}", weight)
        for name, weight in trunk.named_parameters()
        if ".lora_" in name
    ]


def _sample(trunk: PreTrainedModel) -> list[float]:
    """A weight from the middle of some of the base's matrices."""
    matrices: list[Tensor] = [
        weight
        for name, weight in trunk.named_parameters()
        if weight.dim() == 2 and ".lora_" not in name
    ]
    chosen = [matrices[i * len(matrices) // _SAMPLE] for i in range(_SAMPLE)]
    return [float(w.detach()[w.shape[0] // 2, w.shape[1] // 2]) for w in chosen]
