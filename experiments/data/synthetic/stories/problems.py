"""The problems and their worked answers, which end in "The answer is: N".

    Prompted("what is 3 + 4 - 2 ?", "3 + 4 = 7 . 7 - 2 = 5 . The answer is: 5", ("5",), "math")

Group "gsm8k" holds word problems of one to three steps; "math" calculations of two or three steps, and
equations: if x + 3 = 9 , what is x - 2 ? The texts have two steps at most.
"""

from random import Random

from experiments import prompts
from experiments.data.examples import Prompted
from experiments.data.synthetic.stories import accounts
from experiments.data.synthetic.stories.accounts import Account, Part

NUM_STEPS = (1, 1, 1, 2, 2, 2, 2, 3)
"""Steps of a word problem; a story of the texts has two at most, so few models get all of the third."""
STEP_BY_STEP_RATIO = 0.5
"""How many worked answers begin with "Let's think step by step.", a departure from the published training.
There the answer follows the prompt at once, and in evaluation the phrase stands between. A large model knows
the phrase from its texts; this small one never read it, and finds the numbers by how far back they stand.
Where no answer began so, tuned models were right after the training prompt and often wrong after the phrase.
"""


def draw(rng: Random, part: Part, num_problems: int) -> list[Prompted]:
    """Distinct problems of a part, every other one a word problem."""
    found: dict[str, Prompted] = {}
    for place in range(num_problems):
        write = _WRITERS[place % len(_WRITERS)]
        while (problem := write(rng, part)).source in found:
            pass
        found[problem.source] = problem
    return list(found.values())


def _word_problem(rng: Random, part: Part) -> Prompted:
    account = accounts.draw_of(part, rng, "story", rng.choice(NUM_STEPS))
    told, actor, thing = accounts.story(account, rng)
    question = f"{' '.join(told)} how many {thing} does {actor} have ?"
    return _problem("gsm8k", question, accounts.working(account), account, rng)


def _calculation(rng: Random, part: Part) -> Prompted:
    account = accounts.draw_of(part, rng, "sum", rng.randint(2, 3))
    question = f"what is {accounts.expression(account)} ?"
    return _problem("math", question, accounts.working(account), account, rng)


def _equation(rng: Random, part: Part) -> Prompted:
    account = accounts.draw_of(part, rng, "letter", 2)
    known, asked, working = accounts.equation(account, rng)
    return _problem("math", f"if {known} , what is {asked} ?", working, account, rng)


def _problem(group: str, question: str, working: list[str], account: Account, rng: Random) -> Prompted:
    result = str(account.totals()[-1])
    opening = [prompts.MATH_SUFFIX.strip()] if rng.random() < STEP_BY_STEP_RATIO else []
    target = " ".join((*opening, *working, prompts.ANSWER_MARKER + result))
    return Prompted(question, target, (result,), group)


_WRITERS = (_word_problem, _calculation, _word_problem, _equation)
