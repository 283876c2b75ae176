r"""Planners: they look ahead in the user model itself, without learning anything.

What is imagined is one person's likeliest life. Shown item i after history h, the person takes it with probability
:math:`q = p_i / (p_i + \kappa (1 - p_i))`, as in the simulator, and is then as the model is after i, with the likeliest
event and gap. It is still there with probability :math:`s = q (1 - e_i) + (1 - q) (1 - e)`, e being the hazards of
leaving. A plan :math:`i_1 .. i_H` is worth

.. math:: V = \sum_{t \le H} \Big(\prod_{u < t} s_u\Big) q_t + \Big(\prod_{u \le H} s_u\Big) \frac{q^*_{H+1}}{e_{H+1}}

where the last term goes on for ever with what is likeliest after the plan. Only the model is asked, from the items that
the person was seen to touch (the observation's part ``history``); the environment's people are not looked into.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlrec.agents.logit_policy import LogitPolicy
from rlrec.agents.observation import masked
from rlrec.core.checks import check_at_least, check_between, check_positive
from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.choice import click_probs
from rlrec.models.base import BehaviourStep, RecurrentState, SequenceModel
from rlrec.models.threads import torch_threads

_LEAST_HAZARD = 0.02  # nobody is taken to stay longer than 50 more steps, the simulator's horizon


class Lives(NamedTuple):
    """N imagined people in the middle of a plan."""

    memory: RecurrentState
    """What the model remembers of each."""
    there: Tensor
    """(N,) probability that they are still there."""
    worth: Tensor
    """(N,) clicks expected so far."""

    def select(self, rows: Tensor) -> Lives:
        """Return the people in ``rows``."""
        return Lives(self.memory.select(rows), self.there[rows], self.worth[rows])


class Planner(LogitPolicy):
    """Base: reads the history, asks `plan` for the worth of the likeliest items, and ranks the others below them.

    Parameters
    ----------
    model : SequenceModel
        How people behave, and what reads their history.
    horizon : int
        Items looked ahead, H.
    n_candidates : int
        Items considered at each step: those that the model thinks likeliest, and may be shown.
    kappa : float
        Pull of what is not shown; see `rlrec.envs.config.SimulatorConfig`.
    slate_size : int
        The K items with the best plans are shown.
    temperature : float
        Of draws, in clicks.
    seed : int
        Of random choices.
    """

    def __init__(
        self,
        model: SequenceModel,
        slate_size: int = 1,
        *,
        horizon: int = 3,
        n_candidates: int = 8,
        kappa: float = 0.1,
        temperature: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__(model.n_items, slate_size, seed=seed)
        check_at_least("horizon", horizon, 1)
        check_between("n_candidates", n_candidates, 1, model.n_items)
        check_positive("kappa", kappa)
        check_positive("temperature", temperature)
        self.observer, self.horizon, self.n_candidates = model, horizon, n_candidates
        self.kappa, self.temperature = kappa, temperature

    needs: ClassVar[tuple[str, ...]] = ("interest", "history")

    @abstractmethod
    def plan(self, lives: Lives, first: Tensor) -> Tensor:
        """Return the worth of the best plan that begins with each of the items ``first`` (B, C), shape (B, C)."""

    @torch.no_grad()
    def logits(self, observation: Any) -> Tensor:
        """Return the worth of candidates over the temperature, the other items below it by probability; (B, I)."""
        with torch_threads(1):
            memory = self._read(observation)
            log_probs = self.observer.heads(memory).item_log_probs().double()  # (B, I)
            ranked = masked(log_probs, observation)
            first = ranked.topk(self.n_candidates, dim=1).indices  # (B, C)
            n = len(first)
            worth = self.plan(Lives(memory, torch.ones(n).double(), torch.zeros(n).double()), first)
        below = worth.amin(1, keepdim=True) - 1.0 + ranked.clamp(min=-1e3) - ranked.amax(1, keepdim=True)
        return below.scatter(1, first, worth) / self.temperature

    def imagine(self, lives: Lives, items: Tensor) -> Lives:
        """Return the people one step after they were shown ``items`` (N,)."""
        heads = self.observer.heads(lives.memory)
        took = click_probs(heads.item_log_probs_of(items.unsqueeze(1)).double().exp(), self.kappa).squeeze(1)  # (N,)
        after, memory = self.observer.step(self._likeliest(lives.memory, items), lives.memory)
        stays = took * (1.0 - after.end_probs()) + (1.0 - took) * (1.0 - heads.end_probs())
        return Lives(memory, lives.there * stays, lives.worth + lives.there * took)

    def prospects(self, lives: Lives) -> Tensor:
        """Return the worth of plans with what is expected after them, (N,)."""
        heads = self.observer.heads(lives.memory)
        best = heads.item_log_probs().amax(-1, keepdim=True).double().exp()  # (N, 1)
        took = click_probs(best, self.kappa).squeeze(1)
        return lives.worth + lives.there * took / heads.end_probs().double().clamp(min=_LEAST_HAZARD)

    def candidates(self, memory: RecurrentState) -> Tensor:
        """Return what the model thinks likeliest after ``memory``, (N, C)."""
        return self.observer.heads(memory).item_log_probs().topk(self.n_candidates, dim=1).indices

    def _read(self, observation: Any) -> RecurrentState:
        if not isinstance(observation, Mapping) or "history" not in observation:
            raise InvalidArgumentError(
                "a planner acts on histories: make the environment with observation=('interest', 'history')"
            )
        recent = torch.as_tensor(np.asarray(observation["history"])).long().flip(1)  # (B, W), oldest first: 0 is none
        memory = self.observer.initial_state(len(recent))
        for column in recent.unbind(1):
            item = (column - 1).clamp(min=0)
            _, stepped = self.observer.step(self._likeliest(memory, item), memory)
            memory = memory.where(column > 0, stepped)
        return memory

    def _likeliest(self, memory: RecurrentState, item: Tensor) -> BehaviourStep:
        """Return the item with the event and the gap that are likeliest."""
        heads = self.observer.heads(memory)
        event = torch.zeros_like(item)
        if self.observer.n_events > 1:
            event = heads.event_probs(item.unsqueeze(-1)).squeeze(-2).argmax(-1)
        return BehaviourStep(item, event, heads.gap_probs().argmax(-1))


class BeamPolicy(Planner):
    """Keeps, for each first item, the ``width`` best beginnings of a plan; parameters as for `Planner`."""

    def __init__(self, model: SequenceModel, slate_size: int = 1, *, width: int = 3, **settings: Any) -> None:
        super().__init__(model, slate_size, **settings)
        check_at_least("width", width, 1)
        self.width = width

    def plan(self, lives: Lives, first: Tensor) -> Tensor:
        """Return the worth of the best plan found for each first item."""
        n, c = first.shape
        beams = self.imagine(lives.select(torch.arange(n).repeat_interleave(c)), first.flatten())  # N = B * C
        kept = 1
        for _ in range(self.horizon - 1):
            items = self.candidates(beams.memory)  # (N, C)
            grown = self.imagine(
                beams.select(torch.arange(len(items)).repeat_interleave(items.shape[1])), items.flatten()
            )
            found = self.prospects(grown).view(n * c, kept * items.shape[1])
            kept = min(self.width, found.shape[1])
            best = found.topk(kept, dim=1).indices + torch.arange(n * c).unsqueeze(1) * found.shape[1]
            beams = grown.select(best.flatten())
        return self.prospects(beams).view(n, c, kept).amax(-1)


class CEMPolicy(Planner):
    r"""The cross-entropy method: draws plans, keeps the best, and draws the next ones like those.

    Each place of a plan has a distribution over the C items that are likeliest now, at first the model's own.

    Parameters
    ----------
    model, slate_size, settings
        As for `Planner`.
    n_plans : int
        Plans drawn for each person at a time.
    n_elite : int
        The best of them, which the next distribution is fitted to.
    n_rounds : int
        Times that plans are drawn.

    References
    ----------
    .. [1] Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", 1999.
    """

    def __init__(
        self,
        model: SequenceModel,
        slate_size: int = 1,
        *,
        n_plans: int = 32,
        n_elite: int = 8,
        n_rounds: int = 2,
        **settings: Any,
    ) -> None:
        super().__init__(model, slate_size, **settings)
        check_at_least("n_rounds", n_rounds, 1)
        check_between("n_elite", n_elite, 1, n_plans)
        self.n_plans, self.n_elite, self.n_rounds = n_plans, n_elite, n_rounds

    def plan(self, lives: Lives, first: Tensor) -> Tensor:
        """Return the worth of the best plan drawn that begins with each item; what none began with is worth least."""
        n, c = first.shape
        start = self.observer.heads(lives.memory).item_log_probs().double().gather(1, first).softmax(1)  # (B, C)
        odds = start.unsqueeze(1).expand(n, self.horizon, c)
        best = torch.full((n, c), -torch.inf, dtype=torch.float64)
        for _ in range(self.n_rounds):
            places = self._draw(odds)  # (B, P, H)
            worth = self._worth(lives, first, places)  # (B, P)
            best = best.scatter_reduce(1, places[..., 0], worth, "amax")
            elite = worth.topk(self.n_elite, dim=1).indices
            chosen = places.gather(1, elite.unsqueeze(-1).expand(-1, -1, self.horizon))  # (B, E, H)
            counts = torch.nn.functional.one_hot(chosen, c).double().mean(1)  # (B, H, C)
            odds = 0.9 * counts + 0.1 / c
        least = torch.where(best.isinf(), torch.inf, best).amin(1, keepdim=True)
        return torch.where(best.isinf(), least - 1.0 + start, best)

    def _draw(self, odds: Tensor) -> Tensor:
        """Return places of candidates, (B, P, H), from their odds (B, H, C)."""
        n, horizon, c = odds.shape
        drawn = torch.multinomial(odds.reshape(-1, c), self.n_plans, replacement=True, generator=self._generator)
        return drawn.view(n, horizon, self.n_plans).transpose(1, 2)

    def _worth(self, lives: Lives, first: Tensor, places: Tensor) -> Tensor:
        n, plans, _ = places.shape
        imagined = lives.select(torch.arange(n).repeat_interleave(plans))
        items = first.unsqueeze(1).expand(-1, plans, -1).gather(2, places).flatten(0, 1)  # (B * P, H)
        for step in range(self.horizon):
            imagined = self.imagine(imagined, items[:, step])
        return self.prospects(imagined).view(n, plans)
