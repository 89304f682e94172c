"""Mutated input files: each ends accepted or in an error of ours, never in anything else.

    PYTHONPATH=src:tests python -m fuzz.campaign --seconds 3600 --seed 7

A case is a pure function of (target, seed, number), so that a line of a report reproduces it:

    PYTHONPATH=src:tests python -m fuzz.campaign --target gguf --seed 7 --case 1234

| module | its one job |
|---|---|
| mutate.py | mutations of bytes and of JSON values |
| gguf_parts.py, protobuf.py | GGUF files and protobuf messages taken apart, to mutate their parts |
| bases.py | the valid inputs that are mutated |
| targets.py | the cases of each target |
| actions.py | what the program does with an input, and how that ended |
| worker.py, pool.py | cases run in a process with limits on memory and time |
| campaign.py | many cases; the report |
| corpus.py, corpus/ | every input that ever failed |
"""
