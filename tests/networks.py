"""Networks to test inference with."""

import torch
from hypothesis import strategies as st

from actlift.models.tcn import TCN

WIDTHS = st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=3).map(tuple)


def network_of(widths, channels=24, *, seed=0, **options) -> TCN:
    """A network whose weights and running statistics all matter, in evaluation mode."""
    torch.manual_seed(seed)
    network = TCN(widths, channels, **options)
    for layer in network.layers:
        torch.nn.init.normal_(layer.gamma, 1, 0.2)
        torch.nn.init.normal_(layer.beta, 0, 0.2)
        layer.running_mean.normal_(0, 0.1)
        layer.running_var.uniform_(0.5, 1.5)
    return network.eval()
