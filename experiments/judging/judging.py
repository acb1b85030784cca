"""One judging from files to files: what `python -m experiments.judging` and the pipeline call."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiments.grading import answers as saved
from experiments.judging import fastchat, journal, result, running
from experiments.judging.calls import Call, calls
from experiments.judging.costs import Estimate, estimate
from experiments.judging.endpoint import Endpoint, Note
from experiments.judging.settings import Judge, JudgingError, Patience

GROUP = "mt_bench"  # of the rows of a file of answers that are judged


@dataclass(frozen=True)
class Judging:
    """What is judged, by whom, and where it is kept.

    Attributes:
        answers: a run's file of answers, or one in FastChat's form.
        questions: FastChat's question.jsonl.
        prompts: FastChat's judge_prompts.jsonl.
        references: FastChat's reference_answer/gpt-4.jsonl.
        folder: for journal and results.
        judge: model and decoding.
        model_id: the judged model's name in FastChat's files; empty takes the file's.
    """

    answers: Path
    questions: Path
    prompts: Path
    references: Path
    folder: Path
    judge: Judge
    model_id: str = ""
    patience: Patience = field(default_factory=Patience)

    @property
    def name(self) -> str:
        """The judged model's name in FastChat's files."""
        return self.model_id or self.answers.name.removesuffix(".jsonl").removesuffix(".answers")

    @property
    def journal_file(self) -> Path:
        """Where every judgement is kept."""
        return self.folder / "journal.jsonl"

    def calls(self) -> list[Call]:
        """All calls that these answers need.

        Raises:
            DataError: a file of FastChat's is missing or damaged.
            GradingError: the run's file of answers is.
            JudgingError: they do not fit together.
        """
        return calls(
            fastchat.questions(self.questions),
            turns_of(self.answers),
            fastchat.templates(self.prompts),
            fastchat.read_answers(self.references),
        )

    def estimate(self) -> Estimate:
        """Calls and tokens to come; nothing is asked or written."""
        wanted = self.calls()
        entries = journal.read(self.journal_file) if self.journal_file.exists() else {}
        todo = running.missing(wanted, self.judge, entries)
        return estimate(todo, len(wanted) - len(todo), self.judge)

    def run(
        self, concurrency: int, environment: Mapping[str, str], note: Note = lambda text: None
    ) -> result.Judgement:
        """Ask for the judgements that are missing and write the results.

        Args:
            concurrency: calls at a time.
            environment: where OPENAI_API_KEY and OPENAI_BASE_URL stand.
            note: told of each judgement and each failed attempt.

        Raises:
            DataError, GradingError, JudgingError: see `calls`, and `running.run`.
            KeyboardInterrupt: Ctrl-C; what was judged is kept.
        """
        wanted = self.calls()
        with journal.Journal(self.journal_file) as kept:
            if running.missing(wanted, self.judge, kept.entries):
                endpoint = Endpoint(self.judge, self.patience, environment, note)
                running.run(wanted, self.judge, kept, endpoint, concurrency, note)
            return self._write(wanted, kept.entries)

    def _write(self, wanted: list[Call], entries: Mapping[str, journal.Entry]) -> result.Judgement:
        turns, tstamp = turns_of(self.answers), os.path.getmtime(self.answers)
        answer_file = self.folder / "model_answer" / f"{_file_name(self.name)}.jsonl"
        fastchat.write_lines(answer_file, fastchat.answer_lines(turns, self.name, tstamp))
        lines = result.lines(wanted, self.judge, entries, self.name)
        judgments = self.folder / "model_judgment" / f"{_file_name(self.judge.model)}_single.jsonl"
        sha256 = {"judgments": fastchat.write_lines(judgments, lines)}
        for role in ("questions", "prompts", "references"):
            sha256[role] = hashlib.sha256(getattr(self, role).read_bytes()).hexdigest()
        found = result.judgement(wanted, self.judge, entries, sha256)
        fastchat.write_lines(self.folder / "judgement.json", [found])
        return found


def turns_of(path: Path) -> dict[int, tuple[str, ...]]:
    """The answers to MT-Bench of a run's file of answers, or of a file in FastChat's form.

    A run's row answers its first turn in `prediction`, or both in `turns`; `question_id` says which question:

        {"index": 0, "group": "mt_bench", "question_id": 81, "source": "…", …, "prediction": "…"}

    Raises:
        DataError: the file is in FastChat's form and damaged.
        GradingError: it is missing, or a run's and damaged.
        JudgingError: it has no answer to MT-Bench, or one without a question_id.
    """
    if _is_fastchat(path):
        return fastchat.read_answers(path)
    rows = [row for row in saved.read(path).rows if row.get("group") == GROUP]
    found: dict[int, tuple[str, ...]] = {}
    for row in rows:
        number = row.get("question_id")
        if not str(number).isdecimal() or int(str(number)) in found:
            raise JudgingError(
                f"{path}: index {row['index']}: question_id {number!r} is missing or stands twice"
            )
        try:
            found[int(str(number))] = fastchat.texts(row.get("turns") or [row["prediction"]])
        except ValueError as error:
            raise JudgingError(f"{path}: index {row['index']}: {error}") from error
    if not found:
        raise JudgingError(f"{path}: no row of group {GROUP}; judge the answers of an instruct run")
    return found


def _is_fastchat(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and "choices" in first


def _file_name(name: str) -> str:
    """A model's name as a file's: no folders in it."""
    return name.replace("/", "--").replace(os.sep, "--")
