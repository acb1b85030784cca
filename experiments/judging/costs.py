"""How many calls, tokens and dollars a run of the judge will take, before it starts.

Tokens are estimated, as no tokenizer of a judge is at hand. Sent: one for 3.5 bytes, between the usual 4 of
English and the 3.3 to 3.4 of GPT-2's tokenizer on FastChat's prompts about mathematics and code. Got: 250 a
judgement, an assumption; the highest number counts the limit for each instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.judging.calls import Call
from experiments.judging.settings import Judge

BYTES_PER_TOKEN = 3.5
TOKENS_A_JUDGEMENT = 250
MILLION = 1_000_000


@dataclass(frozen=True)
class Estimate:
    """Of the calls that are still to be made.

    Attributes:
        num_calls: to be made.
        num_kept: judgements that are there already.
        tokens_in: of all prompts, estimated.
        tokens_a_judgement: as assumed.
        max_tokens: of a judgement.
    """

    num_calls: int
    num_kept: int
    tokens_in: int
    tokens_a_judgement: int
    max_tokens: int

    @property
    def tokens_out(self) -> int:
        """Of all judgements, as assumed."""
        return self.num_calls * self.tokens_a_judgement

    @property
    def tokens_out_most(self) -> int:
        """Of all judgements if each is as long as it may be."""
        return self.num_calls * self.max_tokens

    def cost(self, price_in: float, price_out: float) -> tuple[float, float]:
        """The expected cost and the highest, for prices of a million tokens; retried calls come on top."""
        expected = (self.tokens_in * price_in + self.tokens_out * price_out) / MILLION
        return expected, (self.tokens_in * price_in + self.tokens_out_most * price_out) / MILLION

    def lines(self, price_in: float | None, price_out: float | None) -> list[str]:
        """What a person reads before the calls are made."""
        found = [
            f"{self.num_calls} calls to make, {self.num_kept} judgements kept from before",
            f"about {self.tokens_in:,} tokens to send ({BYTES_PER_TOKEN} bytes a token)",
            f"about {self.tokens_out:,} tokens to get ({self.tokens_a_judgement} a judgement), at most "
            f"{self.tokens_out_most:,}",
        ]
        if price_in is None or price_out is None:
            return [*found, "cost: give --price-in and --price-out, in dollars for a million tokens"]
        expected, most = self.cost(price_in, price_out)
        return [*found, f"cost: about ${expected:.2f}, at most ${most:.2f}, retried calls not counted"]


def estimate(calls: Sequence[Call], num_kept: int, judge: Judge) -> Estimate:
    """The estimate for these calls."""
    size = sum(len(call.system.encode()) + len(call.user.encode()) for call in calls)
    return Estimate(
        num_calls=len(calls),
        num_kept=num_kept,
        tokens_in=round(size / BYTES_PER_TOKEN),
        tokens_a_judgement=min(TOKENS_A_JUDGEMENT, judge.max_tokens),
        max_tokens=judge.max_tokens,
    )
