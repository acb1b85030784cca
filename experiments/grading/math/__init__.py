"""Answers to GSM8K and MATH against their gold answers, by three rules, on the CPU alone.

    scoring.py      saved answers -> verdicts -> scores; start reading here
    extraction.py   where in a text the answer stands
    numerals.py     numbers as people write them, exactly
    latex.py        one way of writing where LaTeX has several
    proper.py       rule `proper`: equal in value, by math-verify (algebra.py) where text does not decide
    released.py     rule `released`: the published grader's, with its faults
    formulas.py     formulas, parsed by a grammar; equality.py: as `released` compares them
    no_evaluation.py   keeps sympy from running texts as programs
    pool.py, worker.py   processes that grade with a limit of time and memory, and can be killed
    gold.py         the data sets' own solutions, graded as if they were answers

The third rule, `exact`, is one line in scoring.py. Run `python -m experiments.grading.math FILE`.
"""
