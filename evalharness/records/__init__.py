"""What a run leaves on disk: ``run.json``, the journal ``samples.jsonl`` and ``results.json`` in one folder."""
