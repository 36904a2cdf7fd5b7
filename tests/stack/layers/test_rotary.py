import torch

from evalharness.stack.layers.rotary import rotary_frequencies, rotate, rotation


def test_rotation_turns_each_pair_like_a_complex_number() -> None:
    positions = torch.tensor([0, 1, 7, 500])
    frequencies = rotary_frequencies(16, 10_000.0)
    x = torch.randn(4, 3, 16)
    found = rotate(x, *rotation(positions, frequencies, torch.float32))
    pairs = torch.complex(x[..., :8], x[..., 8:])
    turned = pairs * torch.polar(torch.ones(4, 1, 8), positions[:, None, None] * frequencies)
    torch.testing.assert_close(found, torch.cat((turned.real, turned.imag), dim=-1))


def test_a_view_into_a_wider_tensor_is_turned_like_a_copy() -> None:
    by = rotation(torch.arange(5), rotary_frequencies(8, 10_000.0), torch.float32)
    wide = torch.randn(5, 6, 8)
    assert torch.equal(rotate(wide[:, 1:4], *by), rotate(wide[:, 1:4].contiguous(), *by))
