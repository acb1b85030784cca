"""An OpenAI-compatible endpoint, asked through the `openai` client, and what to do when it fails.

    tried again     429, 408, 409, 425 and 5xx, no answer in time, a dropped connection, a garbled answer
    final           every other status, among them 401 (a wrong key), and 429 for a used-up quota

The wait before another attempt doubles each time and varies at random, so that calls made together do not
come back together; a wait that the endpoint asks for (`Retry-After`) is kept. Key and address come from the
environment alone. No message or file of ours holds them: errors of the client, which carry the request with
its key, are never chained, and a key that an endpoint sends back is struck out.
"""

import asyncio
import email.utils
import json
import math
import random
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.judging.calls import Call
from experiments.judging.settings import Judge, JudgingError, Patience

AGAIN = (408, 409, 425, 429)  # of the statuses below 500, those that may pass by waiting
_SHOWN_TEXT = 300
_SHORTEST_SECRET = 16  # a shorter key is a stand-in such as "none", a word that judgements may hold
Note = Callable[[str], None]


@dataclass(frozen=True)
class Reply:
    """One judgement, the model's name as the endpoint reports it, and its counts of tokens if it has any."""

    judgment: str
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None


class _FailedError(Exception):
    """A failure that may pass; `asked_seconds` is the wait that the endpoint asks for."""

    def __init__(self, reason: str, asked_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.asked_seconds = asked_seconds


class Endpoint:
    """The judge behind `OPENAI_BASE_URL`, with the key of `OPENAI_API_KEY`.

    Args:
        judge: model and decoding.
        patience: how failures are borne.
        environment: where address and key stand.
        note: told of every failed attempt.

    Raises:
        JudgingError: the client is not installed, or key or address are missing or cannot be ones.
    """

    def __init__(
        self, judge: Judge, patience: Patience, environment: Mapping[str, str], note: Note = lambda text: None
    ) -> None:
        self._judge, self._patience, self._note = judge, patience, note
        self._key = _key(environment)
        self._openai = _library()
        self._client = self._openai.AsyncOpenAI(
            api_key=self._key,
            base_url=_address(environment),
            max_retries=0,  # ours also mend garbled answers and can be stopped
            timeout=patience.timeout_seconds,
        )

    async def ask(self, call: Call, stop: asyncio.Event) -> Reply | None:
        """The judgement; None if `stop` was set while waiting for another attempt.

        Raises:
            JudgingError: the endpoint refuses, or all attempts failed.
        """
        attempt = 1
        while True:
            try:
                return await self._once(call)
            except _FailedError as error:
                reason, asked = str(error), error.asked_seconds
            if attempt == self._patience.attempts:
                break
            wait = self._wait(call, attempt, asked)
            tries = f"attempt {attempt} of {self._patience.attempts}"
            self._note(f"{call.place}: {tries} failed: {reason}; waiting {wait:.1f} s")
            if await _stopped(stop, wait):
                return None
            attempt += 1
        raise JudgingError(
            f"{call.place}: {attempt} attempts failed, the last: {reason}; judgements so far are kept, run "
            "again to go on"
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _once(self, call: Call) -> Reply:
        # Raised outside of `except`, so that it does not carry the client's error, which holds the key.
        try:
            async with asyncio.timeout(self._patience.timeout_seconds):  # the client's bounds each read alone
                raw = await self._client.chat.completions.with_raw_response.create(**self._request(call))
        except self._openai.APIStatusError as error:
            problem: Exception = self._refusal(call, error)
        except (TimeoutError, self._openai.APITimeoutError):
            problem = _FailedError(f"no whole answer within {self._patience.timeout_seconds:g} s")
        except self._openai.APIError as error:
            problem = _FailedError(f"the connection failed ({type(error.__cause__ or error).__name__})")
        else:
            return self._reply(raw.http_response.content)
        raise problem

    def _request(self, call: Call) -> dict[str, Any]:
        asked: dict[str, Any] = {"model": self._judge.model, "messages": call.messages()}
        asked[self._judge.limit_field] = self._judge.max_tokens
        return asked if self._judge.temperature is None else asked | {"temperature": self._judge.temperature}

    def _reply(self, raw: bytes) -> Reply:
        try:
            body = json.loads(raw)
            content = body["choices"][0]["message"]["content"]
            usage = body.get("usage") or {}
            if content is not None and not isinstance(content, str):
                raise TypeError
            counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
            model = body.get("model")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            text = self._clean(raw[:_SHOWN_TEXT].decode("utf-8", "replace"))
            raise _FailedError(f"the answer is no chat completion: {text!r}") from None
        numbers = [count if isinstance(count, int) else None for count in counts]
        return Reply(self._clean(content or ""), self._clean(str(model or "")), *numbers)

    def _refusal(self, call: Call, error: Any) -> Exception:
        status, code = int(error.status_code), str(error.code or "")
        if status == 401:
            return JudgingError(
                "the endpoint refuses the key (status 401); set OPENAI_API_KEY to a valid one"
            )
        text = self._clean(error.response.content[:_SHOWN_TEXT].decode("utf-8", "replace"))
        if status < 500 and (status not in AGAIN or code == "insufficient_quota"):
            return JudgingError(
                f"{call.place}: the endpoint refuses (status {status}): {text!r}; check the settings"
            )
        return _FailedError(f"status {status}: {text!r}", _asked_seconds(error.response.headers))

    def _wait(self, call: Call, attempt: int, asked: float) -> float:
        """Seconds before the next attempt."""
        patience = self._patience
        if asked > patience.longest_asked_seconds:
            raise JudgingError(
                f"{call.place}: the endpoint asks to wait {asked:.0f} s, longer than "
                f"{patience.longest_asked_seconds:.0f} s; judgements so far are kept, run again then"
            )
        doubled = patience.first_wait_seconds * 2.0 ** min(attempt - 1, 30)
        own = min(doubled, patience.longest_wait_seconds) * random.uniform(0.5, 1)
        return max(own, asked + random.uniform(0, patience.first_wait_seconds)) if asked else own

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "[key]") if len(self._key) >= _SHORTEST_SECRET else text


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Whether `stop` was set within that time."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _asked_seconds(headers: Mapping[str, str]) -> float:
    """The wait of a `Retry-After` header, in seconds or as a date; 0 where there is none."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        date = email.utils.parsedate_tz(text)
        seconds = 0.0 if date is None else email.utils.mktime_tz(date) - time.time()
    return 0.0 if math.isnan(seconds) else max(0.0, seconds)


def _key(environment: Mapping[str, str]) -> str:
    key = environment.get("OPENAI_API_KEY", "")
    if not key:
        raise JudgingError(
            "no key: set OPENAI_API_KEY; an endpoint without keys takes any text, such as none"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise JudgingError("OPENAI_API_KEY holds white space or characters that no key has; set it again")
    return key


def _address(environment: Mapping[str, str]) -> str | None:
    """The endpoint's address; None is OpenAI's own. It is not shown, as it can hold a password."""
    address = environment.get("OPENAI_BASE_URL") or None
    if address is not None:
        try:
            parts = urllib.parse.urlsplit(address)
            fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # its message holds the address
            fit = False
        if not fit or not address.isascii() or not address.isprintable():
            raise JudgingError(
                "OPENAI_BASE_URL is no address that begins with http:// or https://; set it again"
            )
    return address


def _library() -> Any:
    try:
        import openai
    except ImportError as error:
        raise JudgingError("the openai client is not installed; pip install -e '.[judge]'") from error
    return openai
