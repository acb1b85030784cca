"""Which measure each task is scored by; apart from the graders, which import scikit-learn and scipy."""

TASK_METRICS = {
    "sst2": "accuracy",
    "mrpc": "accuracy",
    "cola": "matthews",
    "qnli": "accuracy",
    "rte": "accuracy",
    "stsb": "pearson",
}
"""The measure that Table 1 prints for each GLUE task."""
