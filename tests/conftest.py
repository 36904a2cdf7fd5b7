"""What every test stands on: no network, and helper modules beside the tests can be imported.

A test that needs torch sets its own number of threads; nothing heavy is imported here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

# Libraries read these when they are imported, so they are set before any test is.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Helpers are imported as `parity.lm_eval_oracle`. Last in the path, so that no folder here hides a package.
sys.path.append(str(Path(__file__).parent))

# A busy machine is no reason to fail: no test has a deadline for a single example.
settings.register_profile("evalharness", deadline=None)
settings.load_profile("evalharness")
