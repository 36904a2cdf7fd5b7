"""Buckets of distances against transformers' and against the formula by hand; what is added to the scores."""

import pytest
import torch
from transformers.models.t5.modeling_t5 import T5Attention

from evalharness.stack.layers.relative import RelativePositions, relative_buckets

DISTANCES = torch.arange(-700, 701)


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("buckets", "farthest"), [(32, 128), (32, 20), (8, 20), (4, 3), (10, 128), (64, 512)])
def test_buckets_are_those_of_transformers(buckets, farthest, both_ways):
    expected = T5Attention._relative_position_bucket(DISTANCES, both_ways, buckets, farthest)
    assert torch.equal(relative_buckets(DISTANCES, buckets, farthest, both_ways=both_ways), expected)


def test_near_distances_have_a_bucket_each_and_far_ones_share():
    # 32 buckets up to 128: 16 look back, 8 of them exactly; 8 + 8 ln(d / 8) / ln(16) has floors 8, 9, 10, 15.
    back = torch.tensor([0, -1, -7, -8, -12, -16, -127, -5000])
    assert relative_buckets(back, 32, 128, both_ways=True).tolist() == [0, 1, 7, 8, 9, 10, 15, 15]
    assert relative_buckets(-back[1:], 32, 128, both_ways=True).tolist() == [17, 23, 24, 25, 26, 31, 31]
    assert relative_buckets(torch.tensor([3, 0, -15, -16, -127]), 32, 128, both_ways=False).tolist() == [
        0,
        0,
        15,
        16,
        31,
    ]


@pytest.mark.parametrize("both_ways", [True, False])
def test_what_is_added_depends_on_the_distance_alone(both_ways):
    positions = RelativePositions(8, 20, 3, both_ways=both_ways)
    torch.nn.init.normal_(positions.weight)
    whole_HTS = positions(0, 40, 40)
    assert torch.equal(positions(25, 6, 31), whole_HTS[:, 25:31, :31])
    for distance in (-30, -3, 0):
        assert (whole_HTS.diagonal(distance, 1, 2) == positions.weight[relative_buckets(
            torch.tensor(distance), 8, 20, both_ways=both_ways)][:, None]).all()  # fmt: skip
    assert whole_HTS.isfinite().all() == both_ways
    assert (whole_HTS[:, 3, 4:] == -torch.inf).all() != both_ways
