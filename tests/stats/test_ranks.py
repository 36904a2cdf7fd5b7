import numpy as np

from evalharness.stats.ranks import Rank, ranks


def test_systems_that_cannot_be_separated_share_their_ranks():
    random = np.random.default_rng(0)
    difficulty = random.normal(size=300)
    scores = {
        "good": (difficulty + 0.30 + random.normal(0, 0.5, 300)).tolist(),
        "as good": (difficulty + 0.30 + random.normal(0, 0.5, 300)).tolist(),
        "bad": (difficulty + random.normal(0, 0.5, 300)).tolist(),
    }
    assert ranks(scores) == {
        "good": Rank(best=1, worst=2, tied=("as good",)),
        "as good": Rank(best=1, worst=2, tied=("good",)),
        "bad": Rank(best=3, worst=3, tied=()),
    }
    assert ranks(scores, higher_is_better=False)["bad"] == Rank(best=1, worst=1, tied=())


def test_one_system_stands_alone():
    assert ranks({"only": [1.0, 0.0]}) == {"only": Rank(best=1, worst=1, tied=())}
