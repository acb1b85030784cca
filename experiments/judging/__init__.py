r"""MT-Bench's answers rated from 1 to 10 by a judge model, one by one, with FastChat's prompts and files.

    export OPENAI_API_KEY=… JUDGE_MODEL=gpt-4             # and OPENAI_BASE_URL for another endpoint
    python -m experiments.judging ANSWERS.jsonl --questions question.jsonl --prompts judge_prompts.jsonl \
        --references reference_answer/gpt-4.jsonl --dry-run

What comes of it lies in a folder beside the answers, in the layout of FastChat's data/mt_bench:

    <out>/journal.jsonl                          every judgement as it came; a stopped run goes on from it
    <out>/model_answer/<model_id>.jsonl          the answers, for FastChat's tools
    <out>/model_judgment/<judge>_single.jsonl    the judgements, for FastChat's show_result
    <out>/judgement.json                         the result, for the record

Source: https://github.com/lm-sys/FastChat (fastchat/llm_judge), Zheng et al. 2023.
"""
