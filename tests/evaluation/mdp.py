"""The two-state process of the shared case 07, and logs of any size from it."""

from dataclasses import dataclass

import numpy as np

from rlrec.evaluation.logged import LoggedBatch

P = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.6, 0.4]]])  # (S, A, S)
R = np.array([[1.0, 0.0], [0.0, 2.0]])  # (S, A)
MU = np.array([0.6, 0.4])
BEHAVIOR = np.array([[0.5, 0.5], [0.4, 0.6]])  # (S, A)
TARGET = np.array([[0.8, 0.2], [0.1, 0.9]])
GAMMA = 0.9


@dataclass
class Episodes:
    """A log with what it was made of."""

    log: LoggedBatch
    target: np.ndarray
    state: np.ndarray


def draw(n=2000, n_steps=5, seed=0, **columns):
    rng = np.random.default_rng(seed)
    state = (rng.random(n) > MU[0]).astype(int)
    states, actions, rewards = [], [], []
    for _ in range(n_steps):
        action = (rng.random(n) > BEHAVIOR[state, 0]).astype(int)
        states.append(state)
        actions.append(action)
        rewards.append(R[state, action] + rng.choice([-0.5, 0.5], n))
        state = (rng.random(n) > P[state, action, 0]).astype(int)
    return of(*(np.stack(column, axis=1) for column in (states, actions, rewards)), **columns)


def of(states, actions, rewards, **columns):
    n, n_steps = states.shape
    state, action = states.ravel(), actions.ravel()
    log = LoggedBatch(
        action=action,
        reward=rewards.ravel(),
        episode=np.repeat(np.arange(n), n_steps),
        behavior_prob=BEHAVIOR[state, action],
        behavior_probs=BEHAVIOR[state],
        context=np.eye(2)[state],
        **columns,
    )
    return Episodes(log, TARGET[state], state)


def infinite_value(policy=TARGET, gamma=GAMMA):
    """Solve Bellman's equation."""
    reward = (policy * R).sum(axis=1)
    step = np.einsum("sa,sat->st", policy, P)
    return float(MU @ np.linalg.solve(np.eye(2) - gamma * step, reward))


def finite_value(n_steps=5, policy=TARGET, gamma=GAMMA):
    """Sum the discounted rewards of so many steps."""
    reward = (policy * R).sum(axis=1)
    step = np.einsum("sa,sat->st", policy, P)
    value, at = 0.0, MU
    for t in range(n_steps):
        value, at = value + gamma**t * float(at @ reward), at @ step
    return value
