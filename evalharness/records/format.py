"""The version of the format of a run's folder, and the names of its files.

A reader of this package reads every format up to its own. Keys that it does not know are ignored, so
new ones need no new number; the number goes up when a key changes its meaning or goes away.
"""

FORMAT = 1

RUN = "run.json"
SAMPLES = "samples.jsonl"
RESULTS = "results.json"
