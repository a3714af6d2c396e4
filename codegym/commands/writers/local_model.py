"""A model of Hugging Face on this machine, in transformers.

A model with a chat template gets the problem as a question; one without continues the problem's
prompt, up to the stop sequences of its format.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

from codegym.commands.writers.writer import Failed, Sampling, Wanted
from codegym.envs.prompt_format import AutoFormat, ChatFormat
from codegym.errors import GenerationError, TokenizationError
from codegym.integrations.completions import decode_answer

__all__ = ["LocalModel"]


class LocalModel:
    """A model on this machine.

    Args:
        model: Name or folder.
        sampling: How it writes.
        device: Where it computes, such as ``"cuda"``; None: a GPU if there is one.

    Raises:
        GenerationError: If transformers or torch are not installed, or there is no such model.
    """

    def __init__(self, model: str, sampling: Sampling, *, device: str | None = None) -> None:
        try:
            self._torch: Any = importlib.import_module("torch")
            transformers: Any = importlib.import_module("transformers")
        except ImportError as error:
            raise GenerationError(
                f"A model on this machine needs {error.name}: pip install -e '.[agents]' (in "
                "codegym's checkout). A model elsewhere is named with --endpoint URL."
            ) from None
        self._sampling = sampling
        self._device = device or ("cuda" if self._torch.cuda.is_available() else "cpu")
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(model)
            loaded = transformers.AutoModelForCausalLM.from_pretrained(model, dtype="auto")
            self._model = loaded.to(self._device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise GenerationError(
                f"The model {model!r} cannot be loaded ({str(error).splitlines()[0]}). Expected "
                "the name of a causal language model on Hugging Face, or its folder; --endpoint "
                "URL for one elsewhere."
            ) from error

    def write(self, wanted: Iterable[Wanted]) -> Iterator[dict[str, Any] | Failed]:
        """Writes one program after the other.

        Raises:
            GenerationError: If the device has not the memory for it.
        """
        chats = bool(self._tokenizer.chat_template)
        return (self._answer(one) if chats else self._program(one) for one in wanted)

    def _answer(self, wanted: Wanted) -> dict[str, Any]:
        messages = ChatFormat(self._tokenizer).messages(wanted.problem)
        prompt = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return {
            "problem_id": wanted.problem.id,
            "sample": wanted.sample,
            "prompt": messages[-1]["content"],
            "completion": self._continue(prompt, (), wanted.sample, special=False),
        }

    def _program(self, wanted: Wanted) -> dict[str, Any]:
        prompt = AutoFormat().render(wanted.problem)
        text = prompt.text + prompt.header
        written = self._continue(text, prompt.stop, wanted.sample, special=True)
        ends = [place for stop in prompt.stop if (place := written.find(stop)) >= 0]
        return {
            "task_id": wanted.problem.id,
            "sample": wanted.sample,
            "solution": prompt.header + written[: min(ends, default=None)],
        }

    def _continue(self, text: str, stop: tuple[str, ...], sample: int, *, special: bool) -> str:
        """What the model writes after a text; `special`: tokens such as a begin are added."""
        given = self._tokenizer(text, return_tensors="pt", add_special_tokens=special)
        options: dict[str, Any] = {"max_new_tokens": self._sampling.max_new_tokens}
        if stop:
            options |= {"stop_strings": list(stop), "tokenizer": self._tokenizer}
        if self._sampling.temperature > 0:
            options |= {"do_sample": True, "temperature": self._sampling.temperature}
        else:
            options |= {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        pad = self._tokenizer.pad_token_id
        options["pad_token_id"] = self._tokenizer.eos_token_id if pad is None else pad
        self._torch.manual_seed(self._sampling.seed + sample)
        try:
            with self._torch.no_grad():
                ids = given["input_ids"].to(self._device)
                mask = given["attention_mask"].to(self._device)
                out = self._model.generate(ids, attention_mask=mask, **options)
        except self._torch.OutOfMemoryError as error:
            raise GenerationError(
                f"{self._device} has not the memory for this model and {ids.shape[1]} tokens: "
                f"{error}. Lower --max-new-tokens, or use an endpoint."
            ) from error
        written = out[0, ids.shape[1] :].tolist()
        try:
            return decode_answer(written, self._tokenizer)
        except TokenizationError:  # it cannot spell code exactly, and nobody asked for that
            return str(self._tokenizer.decode(written, skip_special_tokens=True))
