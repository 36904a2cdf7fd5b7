"""Rows of our own for ifeval and cnn_dailymail, with what trips a prompt."""

from __future__ import annotations

from parity.benchmark import Row

IFEVAL: tuple[Row, ...] = tuple(
    {"key": 10 + number, "prompt": prompt, "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    for number, prompt in enumerate(
        (
            "Write a poem. No commas!", " Spaces  here and there ", "Line one\n\nline two\n",
            "What is {{ 2 }} {% if %}?", "Zoë's “café” — open?", "A [name] and <<title>>",
        )
    )
)  # fmt: skip

CNN: tuple[Row, ...] = tuple(
    {"id": f"own-{number}", "article": article, "highlights": highlights}
    for number, (article, highlights) in enumerate(
        (
            ("The ferry sails again. It was mended.", "Ferry sails again ."),
            (" Spaces  here. \n\nA second part. ", "Spaces here .\nSecond part ."),
            ("What is {{ 2 }} {% if %}?", "{{ two }}"),
            ("Zoë's “café” opens at 5.", "Café opens ."),
            ("One.\nTwo.\nThree.", "One .\nTwo .\nThree ."),
            ("Article: in an article\n\nSummary:", "A summary"),
        )
    )
)
