"""The shapes of an episode."""

import numpy as np
import pytest

from agents import Episode


def arrays(observations: int, actions: int, masks: int):
    return np.zeros((observations, 8)), np.zeros(actions, np.int64), np.ones((masks, 5), bool)


def test_t_steps_have_t_plus_1_observations_and_t_masks():
    episode = Episode(*arrays(4, 3, 3), reward=0.5)
    assert len(episode.observations) == len(episode.actions) + 1 == len(episode.action_masks) + 1


@pytest.mark.parametrize("lengths", [(1, 0, 0), (3, 3, 3), (5, 3, 3), (4, 3, 2), (4, 3, 4)])
def test_lengths_that_do_not_fit_are_refused_with_their_values(lengths):
    with pytest.raises(ValueError, match="came {}, {} and {}".format(*lengths)):
        Episode(*arrays(*lengths), reward=0.5)


@pytest.mark.parametrize("action", [-1, 5])
def test_an_action_that_the_masks_do_not_know_is_refused(action):
    observations, actions, masks = arrays(4, 3, 3)
    with pytest.raises(ValueError, match="actions 0 to A - 1"):
        Episode(observations, actions + action, masks, reward=0.5)
    with pytest.raises(ValueError, match=r"masks of shape \(3,\)"):
        Episode(observations, actions, masks[:, 0], reward=0.5)


def test_lists_become_arrays():
    episode = Episode([[0, 0], [1, 1]], [2], [[1, 0, 1]], 0.5)
    assert episode.observations.dtype == episode.actions.dtype == np.int64
    assert episode.action_masks.tolist() == [[True, False, True]]
