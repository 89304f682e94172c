"""Write goldens/demo.json: what float32 transformers computes from the demo model's GGUF file.

Usage: PYTHONPATH=src:tests python tests/fidelity/demo_goldens.py GGUF  (with torch,
transformers and gguf). For each question the greedy continuation; for the text of `verify` the
mean entropy, the mean log-probability of the next token, and the most probable tokens.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fidelity.demo import GOLDENS, GREEDY_TOKENS, QUESTIONS, prompt
from litertlm.bundle.probe_texts import PROSE

TOKENS = 240


def main() -> None:
    file = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    answers = []
    for question in QUESTIONS:
        ids = tokenizer(prompt(question), add_special_tokens=False, return_tensors="pt").input_ids
        made = model.generate(
            ids, do_sample=False, max_new_tokens=GREEDY_TOKENS, pad_token_id=2, eos_token_id=2
        )
        answers.append(made[0, ids.shape[1] :].tolist())
    ids = tokenizer(PROSE, add_special_tokens=False).input_ids[:TOKENS]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    following = torch.tensor(ids[1:])
    GOLDENS.write_text(
        json.dumps(
            {
                "greedy": answers,
                "prose": ids,
                "log_probabilities": [
                    round(x, 6) for x in logits[:-1].gather(1, following[:, None])[:, 0].tolist()
                ],
                "most_probable": logits[:-1].argmax(-1).tolist(),
            }
        )
        + "\n"
    )
    print([tokenizer.decode(answer) for answer in answers])


if __name__ == "__main__":
    main()
