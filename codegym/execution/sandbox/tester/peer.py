"""Two processes that call each other's functions: a tester and the program that it tests.

One speaks at a time. A question names a function or an iterator of the other side and carries its
arguments; before it is answered, questions may come back (a program that calls a function which the
test gave it). See `crossing.py` for how values travel.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..child import nodes
from ..codec import from_json, to_json
from .crossing import CannotCrossError, Crossing
from .foreign import ForeignClasses
from .raised import blamed_on_program, describe_error, rebuild_error

_HEADER = 4
_NODES = nodes.__name__
_PART = 1 << 20
CANDIDATE = 0
"""The key of the program's entry point, which both know."""


class GoneError(BaseException):
    """The other process ended, or broke the protocol."""


class TooLargeError(BaseException):
    """A message is larger than this side may send."""


class Peer:
    """One end of the conversation.

    Args:
        descriptor: A stream socket.
        first: 0 or 1, the other side has the other.
        classes_here: The namespace in which names of classes are looked up, see :class:`Crossing`.
            A tester's holds those of the problem, and none that its test code defines: a program
            could make objects of them that equal anything.
        may_send: Whether instances of a class may cross.
        strict: Whether a value that cannot cross is an error.
        most_sent: Largest message that is sent, in bytes.
        most_received: Largest message that is read, in bytes.
        classes: Classes of the other side, with the names that their objects may be asked for.
        lets_stop: Whether a call may raise `StopIteration` here.

    Attributes:
        entry: What the other side's :data:`CANDIDATE` means here.
        answers: How many questions of this side's were answered.
        gone: Whether the other side ended or broke the protocol.
        fault: What this side wanted to send and could not, in a sentence; else empty.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        first: int,
        classes_here: Mapping[str, Any],
        may_send: Callable[[type], bool],
        strict: bool,
        most_sent: int,
        most_received: int,
        classes: Mapping[str, Sequence[str]] = MappingProxyType({}),
        lets_stop: bool = True,
    ) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._classes_here = classes_here
        self._most_sent, self._most_received = most_sent, most_received
        self._classes = ForeignClasses(classes, self._look_up)
        self._crossing = Crossing(
            first,
            find_class=self._find_class,
            may_send=may_send,
            shell=self._shell,
            strict=strict,
            classes=self._classes,
        )
        self._strict = strict
        self._lets_stop = lets_stop
        self.entry: Callable[..., Any] | None = None
        self.answers = 0
        self.gone = False
        self.fault = ""

    def ask(self, key: int, /, *args: Any, **kwargs: Any) -> Any:
        """What the other side's function returns, or raises."""
        self._send(["call", key, list(kwargs)], [*args, *kwargs.values()])
        return self._answer()

    def _answer(self) -> Any:
        """What the other side's own code returns or raises."""
        try:
            return self._until_answered()
        except StopIteration as error:
            if self._lets_stop:
                raise
            # It would end a loop of the test's over `map(candidate, ...)`, which then passes.
            raised = RuntimeError("the program raised StopIteration")
            vars(raised)["_described"] = blamed_on_program(error)
            raise raised from error

    def _look_up(self, owner: Any, name: str) -> Any:
        """An attribute of an object of the other side's; None: of its entry point."""
        key = CANDIDATE if owner is None else self._crossing.key_of(owner)
        if key is None:
            self.fault = "a copy of an object of the program cannot be asked for anything"
            raise CannotCrossError(self.fault)
        self._send(["get", key, []], [name])
        return self._answer()

    def entry_class(self, name: str) -> type | None:
        """What stands for the other side's entry point, if that is to be a class."""
        if name not in self._classes:
            return None
        return self._classes.entry(name, functools.partial(self.ask, CANDIDATE))

    def serve(self) -> None:
        """Answers questions until the other side hangs up."""
        while True:
            try:
                message = self._receive()
            except EOFError:
                return
            self._serve(message["m"], self._crossing.unpack(message))

    def greet(self) -> None:
        """Tells the other side that this one is ready."""
        self._send(["ready"], [])

    def wait(self) -> None:
        """Waits until the other side is ready.

        Raises:
            GoneError: If it never will be.
        """
        try:
            self._receive()
        except Exception as error:
            self.gone = True
            raise GoneError from error

    def _receive(self) -> dict[str, Any]:
        """The next message; raises EOFError after the last, ValueError for nonsense."""
        length = int.from_bytes(self._exactly(_HEADER), "little")
        if length > self._most_received:
            raise ValueError("too large")
        message = from_json(self._exactly(length))
        if type(message) is not dict or type(message["m"][0]) is not str:
            raise ValueError("no message")
        return message

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = self._socket.recv(min(length - len(data), _PART))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _send(self, words: list[Any], values: list[Any]) -> None:
        if self.gone or self.fault:
            raise GoneError  # code that catches everything comes back here
        try:
            message = {"m": words, **self._crossing.pack(values)}
        except CannotCrossError as error:
            self.fault = str(error)
            raise
        data = to_json(message)
        if len(data) > self._most_sent:
            raise TooLargeError
        try:
            self._socket.sendall(len(data).to_bytes(_HEADER, "little") + data)
        except OSError as error:
            self.gone = True
            raise GoneError from error

    def _until_answered(self) -> Any:
        while True:
            try:
                message = self._receive()
                word, *rest = message["m"]
                values = self._crossing.unpack(message)
                answer = values[0] if word == "value" else None
                error = self._error(rest, values) if word == "error" else None
            except Exception as nonsense:
                self.gone = True
                raise GoneError from nonsense
            if word in ("value", "error"):
                self.answers += 1
                if error is not None:
                    raise error
                return answer
            self._serve(message["m"], values)

    def _error(self, rest: list[Any], values: list[Any]) -> BaseException:
        if rest[0] == "again":
            found: BaseException = self._crossing.owned(rest[1], "e")
            return found
        count = rest[1]["args"]
        values[count:] = map(self._crossing.uncallable, values[count:])
        return rebuild_error(rest[1], values, self._find_class)

    def _serve(self, words: list[Any], values: list[Any]) -> None:
        try:
            verb, key, names = words
            work = self._work(verb, key)
            if verb == "throw":
                values, names = [self._error(["new", names], values)], []
            first = len(values) - len(names)
            named = dict(zip(names, values[first:], strict=True))
        except Exception as nonsense:
            self.gone = True
            raise GoneError from nonsense
        try:
            answer = work(*values[:first], **named)
        except (MemoryError, GoneError, TooLargeError, CannotCrossError):
            raise
        except BaseException as error:
            self._send_error(error)
        else:
            del values, named  # or they would look as if somebody here held them
            self._send(["value"], [answer])

    def _work(self, verb: str, key: Any) -> Any:
        if verb == "call" and key == CANDIDATE and self.entry is not None:
            return self.entry
        if verb == "get" and not self._strict:  # a tester's objects know what is expected
            owner = self.entry if key == CANDIDATE else self._crossing.owned(key, "ncgldsyqo")
            return functools.partial(getattr, owner)
        if verb == "next":
            return self._crossing.owned(key, "g").__next__
        if verb == "send" or (verb == "throw" and not self._strict):
            return getattr(self._crossing.owned(key, "g"), verb)
        if verb != "call":
            raise ValueError(verb)
        return self._crossing.owned(key, "c")

    def _send_error(self, error: BaseException) -> None:
        theirs = getattr(error, "__dict__", {}).get("_key_of_the_other_side")
        if theirs:
            self._send(["error", "again", theirs], [])
            return
        described, args = self._described(error)
        self._send(["error", "new", described], args)

    def _described(self, error: BaseException) -> tuple[dict[str, Any], list[Any]]:
        described, args = describe_error(error)
        # Only a test keeps what it raised: a program's frames may hold all of its memory.
        described["key"] = self._crossing.keep(error, "e") if self._strict else CANDIDATE
        return described, args

    def _find_class(self, name: str) -> type | None:
        found = self._classes_here.get(name)
        if isinstance(found, type) and found.__module__ in (self._classes_here["__name__"], _NODES):
            return found
        return None

    def _shell(self, kind: str, key: int, detail: str) -> Any:
        if kind == "c":

            def function(*args: Any, **kwargs: Any) -> Any:
                return self.ask(key, *args, **kwargs)

            function.__name__ = function.__qualname__ = detail
            return function
        return self._generator(key) if detail == "generator" else _RemoteIterator(self, key)

    def following(self, key: int) -> Any:
        """The next item of the other side's iterator; raises what it raises."""
        self._send(["next", key, []], [])
        return self._until_answered()

    def _generator(self, key: int) -> Generator[Any, Any, Any]:
        resume: Callable[[], Any] = functools.partial(self._resume, key, None)
        while True:
            try:
                item = resume()
            except StopIteration as end:
                return end.value
            try:
                sent = yield item
            except GeneratorExit:
                raise  # whenever it is forgotten: no time to ask
            except Exception as error:
                if not self._strict:
                    raise
                resume = functools.partial(self._throw, key, error)
            else:
                resume = functools.partial(self._resume, key, sent)

    def _resume(self, key: int, sent: Any) -> Any:
        """What the other side's generator yields next, if it is sent this."""
        if sent is None:
            return self.following(key)
        self._send(["send", key, []], [sent])
        return self._until_answered()

    def _throw(self, key: int, error: BaseException) -> Any:
        """What the program's generator yields when the test throws an exception into it."""
        described, args = self._described(error)
        self._send(["throw", key, described], args)
        return self._until_answered()


class _RemoteIterator:
    """An iterator that stays where it is."""

    def __init__(self, peer: Peer, key: int) -> None:
        self._peer = peer
        self._key = key

    def __iter__(self) -> _RemoteIterator:
        return self

    def __next__(self) -> Any:
        return self._peer.following(self._key)
