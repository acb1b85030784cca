"""How each family of generated text is graded: `grade(header, rows)` gives the scores of its answers."""
