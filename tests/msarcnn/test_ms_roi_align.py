import torch
from torch import nn

from msarcnn.ms_roi_align import MSRoIAlign


def pyramid(channels, values):
    """Constant maps of a 64 x 64 image, one value a level."""
    return {
        str(index): torch.full((1, channels, 64 // 2 ** (index + 2), 64 // 2 ** (index + 2)), float(value))
        for index, value in enumerate(values)
    }


def identity(module):
    for conv in module.convs:
        nn.init.dirac_(conv.weight)
    return module


def test_sizes_by_level_are_those_of_the_paper():
    assert MSRoIAlign(0, 4).sizes == (8, 4, 2, 1)
    assert MSRoIAlign(1, 4).sizes == (16, 8, 4, 2)


def test_levels_are_summed_at_the_finest_size():
    pool = identity(MSRoIAlign(1, 2))
    pooled = pool(pyramid(2, [1, 10, 100, 1000]), [torch.tensor([[8.0, 8.0, 40.0, 40.0]])], [(64, 64)])
    assert pooled.shape == (1, 2, 16, 16)
    torch.testing.assert_close(pooled, torch.full_like(pooled, 1111.0))


def test_levels_are_concatenated_in_order():
    pool = identity(MSRoIAlign(0, 1, "concat"))
    pooled = pool(pyramid(1, [1, 10, 100, 1000]), [torch.tensor([[8.0, 8.0, 40.0, 40.0]])], [(64, 64)])
    assert pool.out_channels == 4
    assert pooled[0, :, 3, 3].tolist() == [1, 10, 100, 1000]


def test_a_negative_response_is_cut_a_level_before_the_sum():
    pool = identity(MSRoIAlign(0, 1))
    pooled = pool(pyramid(1, [-5, 10, -5, -5]), [torch.tensor([[8.0, 8.0, 40.0, 40.0]])], [(64, 64)])
    torch.testing.assert_close(pooled, torch.full_like(pooled, 10.0))


def test_every_level_has_weights_of_its_own_and_no_box_is_fine():
    pool = MSRoIAlign(0, 4)
    assert len(list(pool.parameters())) == 8
    assert pool(pyramid(4, [1, 1, 1, 1]), [torch.zeros(0, 4)], [(64, 64)]).shape == (0, 4, 8, 8)
