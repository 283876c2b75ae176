"""Collected episodes as a Minari dataset, the format that offline reinforcement learning reads, and back.

Checked by a round trip (``tests/evaluation/test_minari_dataset.py``). Needs the extra ``minari``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError, MissingExtraError
from rlrec.data.trajectories import Trajectories

if TYPE_CHECKING:
    from minari import MinariDataset

_OPTIONAL = ("behavior_log_probs", "item", "event", "gap")


def to_minari(trajectories: Trajectories, dataset_id: str, *, n_items: int, **details: Any) -> MinariDataset:
    """Write episodes as a Minari dataset, where Minari keeps them (``MINARI_DATASETS_PATH``).

    Actions are slates (items where K is 1). What else is known of a step (position clicked, propensities, the visible
    behaviour) is in the step's infos, beside the user. Minari wants an observation after the last step, which is not
    kept here: the last one is repeated, so do not bootstrap from the end of an episode that was cut off.

    Parameters
    ----------
    trajectories : Trajectories
        With observations.
    dataset_id : str
        Such as ``"shop/popular-v0"``.
    n_items : int
        Size of the catalogue, for the action space.
    **details
        Passed on to Minari, such as ``algorithm_name``, ``author`` and ``description``.

    Raises
    ------
    MissingExtraError
        Without Minari.
    InvalidArgumentError
        If the episodes have no observations.
    """
    minari, buffer = _minari()
    if trajectories.observation is None:
        raise InvalidArgumentError("to_minari needs observations; collect with keep_observations=True")
    episodes = [_buffer(trajectories, episode, buffer) for episode in range(trajectories.n_episodes)]
    defaults = {
        "algorithm_name": "unnamed policy",
        "author": "unknown",
        "author_email": "unknown",
        "code_permalink": "unknown",
        "description": "Simulated recommendations, collected with rlrec.",
    }
    size = trajectories.slate_size
    with warnings.catch_warnings():  # Minari asks for an environment that gymnasium.make can make from a name alone
        warnings.filterwarnings("ignore", message="`eval_env` is set to None", category=UserWarning)
        warnings.filterwarnings("ignore", message="env_spec is None", category=UserWarning)
        dataset: MinariDataset = minari.create_dataset_from_buffers(
            dataset_id,
            episodes,
            observation_space=spaces.Box(-np.inf, np.inf, trajectories.observation.shape[1:], np.float32),
            action_space=spaces.Discrete(n_items) if size == 1 else spaces.MultiDiscrete([n_items] * size),
            **(defaults | details),
        )
    return dataset


def from_minari(dataset: MinariDataset) -> Trajectories:
    """Read back what `to_minari` wrote.

    Raises
    ------
    InvalidArgumentError
        If the dataset's steps lack what it writes.
    """
    episodes = list(dataset.iterate_episodes())
    if not episodes or "clicked" not in (episodes[0].infos or {}):
        raise InvalidArgumentError("the dataset's infos must hold 'clicked'; read one that to_minari wrote")
    lengths = np.array([len(episode.rewards) for episode in episodes])

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([episode.infos[name][:-1] for episode in episodes])

    known = {name: joined(name) for name in _OPTIONAL if name in episodes[0].infos}
    slates = np.concatenate([np.asarray(episode.actions).reshape(len(episode.rewards), -1) for episode in episodes])
    return Trajectories(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        user=np.array([int(episode.infos["user"][0]) for episode in episodes]),
        slate=slates.astype(np.int64),
        reward=np.concatenate([episode.rewards for episode in episodes]).astype(np.float64),
        clicked=joined("clicked"),
        terminated=np.array([bool(episode.terminations[-1]) for episode in episodes]),
        observation=np.concatenate([episode.observations[:-1] for episode in episodes]),
        **known,
    )


def _buffer(trajectories: Trajectories, episode: int, buffer: Any) -> Any:
    """Return one episode as Minari's `EpisodeBuffer`; observations and infos have a row more than actions."""
    assert trajectories.observation is not None
    rows = slice(trajectories.offsets[episode], trajectories.offsets[episode + 1])
    n = int(trajectories.lengths[episode])
    columns = {"clicked": trajectories.clicked[rows], "user": np.full(n, trajectories.user[episode])}
    columns |= {
        name: getattr(trajectories, name)[rows] for name in _OPTIONAL if getattr(trajectories, name) is not None
    }
    last = np.arange(n) == n - 1
    slates = trajectories.slate[rows]
    return buffer(
        id=episode,
        observations=_one_more(trajectories.observation[rows]),
        actions=slates[:, 0] if slates.shape[1] == 1 else slates,
        rewards=trajectories.reward[rows].tolist(),
        terminations=(last & trajectories.terminated[episode]).tolist(),
        truncations=(last & ~trajectories.terminated[episode]).tolist(),
        infos={name: _one_more(column) for name, column in columns.items()},
    )


def _one_more(column: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([column, column[-1:]])


def _minari() -> tuple[Any, Any]:
    try:
        import minari
        from minari.data_collector.episode_buffer import EpisodeBuffer
    except ImportError as error:
        raise MissingExtraError("minari", "minari", "datasets for offline learning") from error
    return minari, EpisodeBuffer
