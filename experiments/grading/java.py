"""The two Java programs that pycocoevalcap brings: Stanford's tokenizer and METEOR 1.5.

pycocoevalcap's own wrappers write into its folder, wait for ever where a program hangs, and lock up where one
dies. Here each has a time limit, is always ended, and says why it failed. METEOR reads and answers lines:

    SCORE ||| reference ||| reference ||| output     ->  numbers that sum up the match
    EVAL ||| numbers ||| numbers                     ->  a score for each, then one line for all together
"""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pycocoevalcap.meteor import meteor as meteor_files
from pycocoevalcap.tokenizer import ptbtokenizer as tokenizer_files

from experiments.grading.glue import GradingError

SECONDS = 600.0
"""After which a program is taken to hang; METEOR needs 5 to 10 to load its tables of paraphrases."""

_PUNCTUATION = frozenset(tokenizer_files.PUNCTUATIONS)
_ADVICE = "try `java -version`; without Java on the PATH, the other measures are still given"


def found() -> bool:
    """Whether there is a Java to run."""
    return shutil.which("java") is not None


def tokenise(lines: Sequence[str], seconds: float = SECONDS) -> list[str]:
    """Each line's Penn Treebank tokens in lower case, punctuation marks left out as pycocoevalcap does.

    Args:
        lines: without line ends.
        seconds: the time limit.

    Raises:
        GradingError: the program cannot be run, fails or does not answer in time.
    """
    text = "".join(f"{line}\n" for line in lines)
    try:
        done = subprocess.run(_tokenizer(), input=text.encode(), capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise GradingError(f"the tokenizer has not answered for {seconds:g} s; {_ADVICE}") from error
    except OSError as error:
        raise GradingError(f"the tokenizer cannot be run ({error}); {_ADVICE}") from error
    tokenised = done.stdout.decode().removesuffix("\n").split("\n")
    if done.returncode or len(tokenised) != len(lines):
        ended = f"ended with code {done.returncode} after {len(tokenised)} of {len(lines)} lines"
        said = done.stderr.decode(errors="replace")[-500:].strip()
        raise GradingError(f"the tokenizer {ended}: {said}; {_ADVICE}")
    return [" ".join(word for word in line.split(" ") if word not in _PUNCTUATION) for line in tokenised]


def meteor(outputs: Sequence[str], references: Sequence[Sequence[str]], seconds: float = SECONDS) -> float:
    """METEOR 1.5 of all outputs together, English, normalised: a fraction.

    Args:
        outputs: tokenised.
        references: of each output, tokenised.
        seconds: the time limit.

    Raises:
        GradingError: the program cannot be run, dies or does not answer in time.
    """
    with _conversation(seconds) as ask:
        statistics = [
            ask(" ||| ".join(["SCORE", *map(_field, texts), _field(output)]), 1)[0]
            for output, texts in zip(outputs, references, strict=True)
        ]
        answers = ask(" ||| ".join(["EVAL", *statistics]), len(outputs) + 1)
    try:
        return float(answers[-1])
    except ValueError as error:
        raise GradingError(f"METEOR answered {answers[-1]!r:.200} where a score is due") from error


def _field(text: str) -> str:
    """Without what would part it; doubled spaces are closed up as pycocoevalcap does."""
    return text.replace("|||", "").replace("  ", " ")


def _tokenizer() -> list[str]:
    jar = Path(tokenizer_files.__file__).with_name(tokenizer_files.STANFORD_CORENLP_3_4_1_JAR)
    program = ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    return ["java", *program, "-preserveLines", "-lowerCase", "-encoding", "UTF-8"]


def _meteor() -> list[str]:
    jar = Path(meteor_files.__file__).with_name(meteor_files.METEOR_JAR)
    encoding = ["-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]
    return ["java", *encoding, "-Xmx2G", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]


class _Conversation:
    """Lines to a program and back."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        self.process, self.errors = process, errors

    def __call__(self, line: str, answers: int) -> list[str]:
        """Say a line and read so many.

        Raises:
            GradingError: the program ended.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        heard = [self.process.stdout.readline() for _ in range(answers)]
        if "" in heard:
            raise self._ended()
        return [answer.strip() for answer in heard]

    def _ended(self) -> GradingError:
        code = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace")[-500:].strip()
        return GradingError(f"METEOR ended with code {code}: {said or 'it said nothing'}; {_ADVICE}")


@contextmanager
def _conversation(seconds: float) -> Iterator[_Conversation]:
    """METEOR, started; it is ended with the block, and in the midst of it when time is up."""
    with tempfile.TemporaryFile() as errors:  # a pipe that nobody reads would fill up and stop it
        try:
            process = subprocess.Popen(
                _meteor(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
            )
        except OSError as error:
            raise GradingError(f"METEOR cannot be run ({error}); {_ADVICE}") from error
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield _Conversation(process, errors)
        except GradingError as error:
            if late.is_set():
                raise GradingError(f"METEOR has not answered for {seconds:g} s; {_ADVICE}") from error
            raise
        finally:
            timer.cancel()
            process.kill()
            process.communicate()
