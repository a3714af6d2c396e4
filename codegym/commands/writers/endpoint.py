"""A model behind an endpoint of the usual chat interface, such as vLLM, SGLang or a provider has.

It is asked once for each program, ``POST URL/chat/completions``. An endpoint that is busy or fails
is asked again; what it refuses for good ends the work, since it would refuse all else as well.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from typing import Any

from codegym.commands.writers.writer import Failed, Sampling, Wanted
from codegym.envs.prompt_format import ChatFormat
from codegym.errors import ConfigurationError, GenerationError

__all__ = ["Endpoint"]

_PAUSES = (1.0, 4.0, 16.0)
_FAILED_IN_A_ROW = 5
_BUSY = (408, 409, 425, 429)
_SHOWN = 300


class Endpoint:
    """A model behind an endpoint.

    Args:
        url: Up to and without ``/chat/completions``, such as ``http://localhost:8000/v1``.
        model: The endpoint's name of the model.
        sampling: How it writes.
        key: Sent as a bearer token, if there is one.
        at_once: How many programs it is asked for at a time.
        read_seconds: How long it may be silent.

    Raises:
        ConfigurationError: If the address is none, or `at_once` is not positive.
    """

    def __init__(
        self,
        url: str,
        model: str,
        sampling: Sampling,
        *,
        key: str | None = None,
        at_once: int = 8,
        read_seconds: float = 600.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"An endpoint is an address such as http://localhost:8000/v1, got {url!r}."
            )
        if at_once < 1:
            raise ConfigurationError(f"at_once must be 1 or more, got {at_once}.")
        self._url = url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self._model, self._sampling = model, sampling
        self._key, self._at_once, self._read_seconds = key, at_once, read_seconds

    def write(self, wanted: Iterable[Wanted]) -> Iterator[dict[str, Any] | Failed]:
        """Asks for programs, several at a time.

        Raises:
            GenerationError: If the endpoint refuses, or fails five times in a row.
        """
        waiting: dict[Future[dict[str, Any]], Wanted] = {}
        failing = 0
        pool = ThreadPoolExecutor(self._at_once)
        try:
            for one in [*wanted, None]:
                if one is not None:
                    waiting[pool.submit(self._ask, one)] = one
                while waiting and (one is None or len(waiting) >= self._at_once):
                    for future in concurrent.futures.wait(
                        waiting, return_when=FIRST_COMPLETED
                    ).done:
                        asked = waiting.pop(future)
                        try:
                            row = future.result()
                        except _UnavailableError as error:
                            failing += 1
                            if failing >= _FAILED_IN_A_ROW:
                                raise GenerationError(str(error)) from error
                            yield Failed(asked, str(error))
                        else:
                            failing = 0
                            yield row
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask(self, wanted: Wanted) -> dict[str, Any]:
        messages = ChatFormat(None).messages(wanted.problem)
        answer, reason = self._answer(messages, self._sampling.seed + wanted.sample)
        return {
            "problem_id": wanted.problem.id,
            "sample": wanted.sample,
            "prompt": messages[-1]["content"],
            "completion": answer,
            "finish_reason": reason,
        }

    def _answer(self, messages: list[dict[str, str]], seed: int) -> tuple[str, str | None]:
        body = {
            "model": self._model,
            "messages": messages,
            "temperature": self._sampling.temperature,
            "max_tokens": self._sampling.max_new_tokens,
            "seed": seed,
        }
        for pause in (*_PAUSES, None):
            try:
                return _read(self._post(body), self._url)
            except _UnavailableError:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _post(self, body: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self._read_seconds) as response:
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                told = error.read(_SHOWN).decode(errors="replace")
            said = f"{self._url} answered {error.code} {error.reason}: {told}"
            if error.code in _BUSY or error.code >= 500:
                raise _UnavailableError(said) from None
            raise GenerationError(
                f"{said}. Check the model's name, --max-new-tokens and $OPENAI_API_KEY."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise _UnavailableError(f"{self._url} cannot be reached: {error!r}") from error


class _UnavailableError(Exception):
    """The endpoint gave no answer, and may give one later."""


def _read(content: bytes, url: str) -> tuple[str, str | None]:
    """The text of an answer and why it ended; a message without text is an empty answer."""
    try:
        choice = json.loads(content)["choices"][0]
        text = choice["message"].get("content") or ""
        if not isinstance(text, str):
            raise TypeError(f"content is {type(text).__name__}")
        return text, choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise GenerationError(
            f"{url} answered what is no chat completion ({error!r}): {content[:_SHOWN]!r}. Give "
            "the address of an endpoint of the chat interface, such as http://localhost:8000/v1."
        ) from error
