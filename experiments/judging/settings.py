"""Which judge is asked, how patiently, and the one error of this package."""

from dataclasses import dataclass


class JudgingError(ValueError):
    """Answers that cannot be judged; the message says why and what to do, and never holds the key."""


@dataclass(frozen=True)
class Judge:
    """What is asked of the endpoint; part of every judgement's identity.

    Attributes:
        model: its name, as the endpoint knows it.
        temperature: of sampling, 0 as in FastChat; None leaves it to the endpoint, for models that refuse it.
        max_tokens: of one judgement, 2,048 as in FastChat.
        limit_field: the request's name for `max_tokens`; newer models want "max_completion_tokens".
    """

    model: str
    temperature: float | None = 0.0
    max_tokens: int = 2048
    limit_field: str = "max_tokens"

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise JudgingError("no judge model is named; set JUDGE_MODEL or give --model")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise JudgingError(
                f"temperature is {self.temperature}; choose 0 to 2, or leave it to the endpoint"
            )
        if self.max_tokens < 1 or self.limit_field not in ("max_tokens", "max_completion_tokens"):
            raise JudgingError(
                f"max_tokens is {self.max_tokens} under the name {self.limit_field!r}; choose 1 or more, and "
                "max_tokens or max_completion_tokens"
            )


@dataclass(frozen=True)
class Patience:
    """How an endpoint that fails is borne.

    Attributes:
        attempts: calls for one judgement before giving up.
        timeout_seconds: of one call, all of its answer included.
        first_wait_seconds: before the second attempt; doubled for each further one.
        longest_wait_seconds: the bound of that doubling.
        longest_asked_seconds: of a wait that the endpoint itself asks for; a longer one ends the run.
    """

    attempts: int = 8
    timeout_seconds: float = 120.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    longest_asked_seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.timeout_seconds <= 0:
            raise JudgingError(
                f"{self.attempts} attempts of {self.timeout_seconds} s; choose 1 or more, and above 0"
            )
