import numpy as np
import pytest

from embertune.adapters.solvers.adam import Adam


@pytest.mark.torch
def test_it_equals_torch():
    import torch

    rng = np.random.default_rng(0)
    shapes = {"weights": (4, 3), "bias": (3,)}
    ours = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    theirs = {name: torch.tensor(array.copy(), requires_grad=True) for name, array in ours.items()}
    adam = Adam(ours, learning_rate=0.01)
    reference = torch.optim.Adam(theirs.values(), lr=0.01)
    for _ in range(30):
        gradients = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        adam.step(gradients)
        for name, tensor in theirs.items():
            tensor.grad = torch.tensor(gradients[name])
        reference.step()
    for name, tensor in theirs.items():
        np.testing.assert_allclose(ours[name], tensor.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_the_first_step_is_the_learning_rate_against_the_sign_and_in_place():
    place = np.array([1.0, 1.0, 1.0], dtype=np.float32)
    adam = Adam({"x": place}, learning_rate=0.25)
    adam.step({"x": np.array([4.0, -1e-3, 0.0], dtype=np.float32)})
    np.testing.assert_allclose(place, [0.75, 1.25, 1.0], rtol=1e-4)
    assert place.dtype == np.float32
