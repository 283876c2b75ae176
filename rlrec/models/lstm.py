"""The LSTM sequence model: the language model of behaviour.

Checked against: stepping equals scanning, textbook cell equations, cycle logs, and a first-order Markov chain.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.artifacts import Artifact
from rlrec.core.checks import check_choice
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import ArtifactError, InvalidArgumentError
from rlrec.core.progress import MetricsWriter
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models import parallel
from rlrec.models.base import BehaviourBatch, BehaviourSpace, BehaviourStep, Heads, RecurrentState, SequenceModel
from rlrec.models.calibration import Calibration, calibrate
from rlrec.models.checkpoint import TrainingCheckpoint, fingerprint
from rlrec.models.cold_items import good_turing, release_cold_items, set_cold_items
from rlrec.models.config import LSTMConfig
from rlrec.models.negatives import NegativeSampler, count_of_negatives
from rlrec.models.network import SequenceNetwork
from rlrec.models.privacy import PrivacySpent
from rlrec.models.private_training import train_privately
from rlrec.models.threads import torch_seed
from rlrec.models.training import TrainingRecord, all_targets, set_value_scale, train_network

_SCAN_TOKENS = 16_384  # padded behaviours read at a time
_RELEASE_SEQUENCES, _RELEASE_TARGETS = 500, 2_000  # enough for one number: the bias of the items without rows


class LSTMHeads(Heads):
    """Calibrated heads of the LSTM over hidden vectors (..., H)."""

    def __init__(self, model: LSTMModel, hidden: Tensor, at_start: Tensor) -> None:
        self._model = model
        self._hidden = hidden
        self._at_start = at_start  # (...) True where no behaviour came yet

    def item_logits(self) -> Tensor:
        """Return calibrated logits of all items, (..., I)."""
        calibration = self._model.calibration
        scale = torch.where(self._at_start, calibration.first_scale, calibration.item_scale)
        return self._model.network.item_logits(self._hidden) * scale.unsqueeze(-1)

    def item_log_probs(self) -> Tensor:
        """Return log p(item | h), (..., I)."""
        return self.item_logits().log_softmax(-1)

    def end_probs(self) -> Tensor:
        """Return p(end | h), (...)."""
        calibration = self._model.calibration
        logit = self._model.network.end_logit(self._hidden)
        return torch.sigmoid(logit * calibration.end_scale + calibration.end_shift)

    def event_probs(self, items: Tensor) -> Tensor:
        """Return p(event | h, item), (..., K, n_events)."""
        calibration = self._model.calibration
        logits = self._model.network.event_logits(self._hidden, items) * calibration.event_scale
        if calibration.event_shift:
            logits = logits + logits.new_tensor(calibration.event_shift)
        return logits.softmax(-1)

    def value_distribution(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the value of ``items`` (..., K), shape (..., K) each, log's own units.

        Raises
        ------
        InvalidArgumentError
            If the model was fitted without a value head.
        """
        network = self._model.network
        if not network.config.value_weight:
            raise InvalidArgumentError(
                "the model has no value head; fit it with value_weight above 0 on a log of values"
            )
        hidden = self._hidden.unsqueeze(-2).expand(*items.shape, -1)
        mean, log_sd = network.value_parameters(hidden, items)
        return mean * network.value_scale + network.value_shift, log_sd.exp() * network.value_scale

    def gap_probs(self) -> Tensor:
        """Return p(gap | h), (..., N_GAPS)."""
        return (self._model.network.gap_logits(self._hidden) * self._model.calibration.gap_scale).softmax(-1)


class LSTMModel(SequenceModel):
    """Embedding → LSTM → softmax, with heads for item, event, gap and end of session.

    Build it with `fit` or `load`. The hidden vector of the top layer is the user-interest vector; one more behaviour
    updates it in constant time (`step`).

    Examples
    --------
    >>> import rlrec
    >>> log = rlrec.load_log("builtin:eshop2008")
    >>> train, valid, test = rlrec.split_by_time(log)
    >>> model = rlrec.LSTMModel.fit(train, valid=valid, config=rlrec.LSTMConfig(n_epochs=1), seed=0)
    >>> model.recommend([["A13", "A16"]], k=3).shape
    (1, 3)
    """

    kind: ClassVar[str] = "models/lstm"

    def __init__(
        self,
        network: SequenceNetwork,
        space: BehaviourSpace,
        calibration: Calibration | None = None,
        record: TrainingRecord | None = None,
        privacy: PrivacySpent | None = None,
    ) -> None:
        self.network = network.eval()
        self.space = space
        self.calibration = Calibration() if calibration is None else calibration
        self.record = record
        self.privacy = privacy  # what a private training spent; None of any other

    @classmethod
    def fit(
        cls,
        train: InteractionLog,
        *,
        valid: InteractionLog | None = None,
        config: LSTMConfig | None = None,
        seed: int = 0,
        folder: str | Path | None = None,
        show_progress: bool | None = None,
        device: str | torch.device = "cpu",
        valid_targets: Literal["all", "last"] = "all",
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> LSTMModel:
        """Fit on a log.

        In a torch.distributed group (``torchrun``) each process takes its part of every batch, all end with the same
        weights, and the first one writes what goes into ``folder``.

        Parameters
        ----------
        train : InteractionLog
        valid : InteractionLog, optional
            Stops training early and calibrates the heads; without it neither happens.
        config : LSTMConfig, optional
        seed : int
            Same seed, same machine, same weights.
        folder : path, optional
            Gets ``metrics.jsonl`` and ``tensorboard/``, and a checkpoint after every epoch: the same call after a kill
            continues to the same weights. The checkpoint is removed when training ends.
        show_progress : bool, optional
            Force the progress bar on or off.
        device : str
            ``"cpu"`` or ``"cuda"``.
        valid_targets : {"all", "last"}
            ``"last"`` watches and calibrates on the last item of each validation sequence only: leave-last-out, where
            the items before it are training rows that the prediction may look back at.
        on_epoch : callable, optional
            Gets each epoch's number, from 1, and its validation loss in nats; what it raises ends the training.

        Notes
        -----
        With ``config.privacy.users`` above 0 training is differentially private for each user (`train_privately`):
        ``privacy`` of the model says what was spent and is saved with it. Then all epochs are run, ``valid`` is only
        watched, nothing is calibrated, there is no checkpoint and no ``on_epoch``, and items without rows are learned
        as the others are.
        """
        config = LSTMConfig() if config is None else config
        check_choice("valid_targets", valid_targets, ("all", "last"))
        last_only = valid_targets == "last"
        sequences = train.sequences()
        watched = None if valid is None else valid.sequences()
        network = cls.build_network(train, config, seed).to(device)
        if config.privacy.users:
            with MetricsWriter(folder) as metrics:
                record, spent = train_privately(
                    network,
                    sequences,
                    watched,
                    seed=seed,
                    metrics=metrics,
                    show_progress=show_progress,
                    last_only=last_only,
                )
            return cls(network, BehaviourSpace.of(train).without_counts(), record=record, privacy=spent)
        set_cold_items(network, train.item_counts)
        set_value_scale(network, train.value)
        n_negatives = count_of_negatives(config.n_negatives, train.n_items)
        with MetricsWriter(folder if parallel.rank() == 0 else None) as metrics:
            record = train_network(
                network,
                sequences,
                watched,
                seed=seed,
                metrics=metrics,
                show_progress=show_progress,
                last_only=last_only,
                on_epoch=on_epoch,
                sampler=NegativeSampler(train.item_counts, n_negatives, device) if n_negatives else None,
                checkpoint=None if folder is None else _checkpoint(Path(folder), train, valid, config, seed, last_only),
            )
        _release(network, train, sequences, watched, last_only)
        model = cls(network, BehaviourSpace.of(train), record=record)
        return model if watched is None or len(watched) == 0 else model.calibrated(watched, last_only=last_only)

    @staticmethod
    def build_network(log: InteractionLog, config: LSTMConfig, seed: int) -> SequenceNetwork:
        """Return an untrained network for a log's catalogue and events."""
        dense, _ = log.catalog.features.dense
        if not config.use_features:
            dense = dense[:, :0]
        with torch_seed(seed):
            return SequenceNetwork(
                log.n_items, log.n_event_types, torch.from_numpy(np.ascontiguousarray(dense)), config
            )

    def calibrated(self, valid: Sequences, *, last_only: bool = False) -> LSTMModel:
        """Return this model with its heads calibrated on ``valid``, or on the last item of each sequence there.

        A privately trained one is private no longer: calibration reads ``valid`` as it is.
        """
        if len(valid) == 0:
            raise InvalidArgumentError("calibration needs at least one validation sequence, got none")
        calibration = calibrate(self.network, all_targets(self.network, valid, last_only=last_only))
        return LSTMModel(self.network, self.space, calibration, self.record)

    # ---- SequenceModel ------------------------------------------------------------------------------------------

    @property
    def config(self) -> LSTMConfig:
        """Settings that it was built with."""
        return self.network.config

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.network.item_bias.device

    @property
    def interest_size(self) -> int:
        """Size of the interest vector: ``hidden_size``."""
        return self.config.hidden_size

    def initial_state(self, batch_size: int) -> RecurrentState:
        """Return the learned state before any behaviour; the third tensor counts behaviours."""
        state = self.network.initial_state(batch_size)
        return RecurrentState((*state.tensors, torch.zeros(batch_size, dtype=torch.int64, device=self.device)))

    @torch.no_grad()
    def forward(self, tokens: BehaviourBatch, state: RecurrentState | None = None) -> tuple[Heads, RecurrentState]:
        """Scan (B, T) behaviours; see `SequenceModel.forward`."""
        state = self.initial_state(len(tokens.length)) if state is None else state
        hidden, after = self.network.scan_with_state(tokens, RecurrentState(state.tensors[:2]))
        heads = LSTMHeads(self, hidden, torch.zeros(hidden.shape[:2], dtype=torch.bool, device=self.device))
        return heads, RecurrentState((*after.tensors, state.tensors[2] + tokens.length))

    @torch.no_grad()
    def step(self, tokens: BehaviourStep, state: RecurrentState) -> tuple[Heads, RecurrentState]:
        """Take one behaviour in, (B,)."""
        after = self.network.step(tokens, RecurrentState(state.tensors[:2]))
        state = RecurrentState((*after.tensors, state.tensors[2] + 1))
        return self.heads(state), state

    @torch.no_grad()
    def heads(self, state: RecurrentState) -> Heads:
        """Return what comes next."""
        return LSTMHeads(self, state.tensors[0][:, -1], state.tensors[2] == 0)

    @torch.no_grad()
    def scores_at(self, sequences: Sequences, rows: NDArray[np.int64]) -> Tensor:
        """Return log p(item | what came before each flat row), (n, I), from one scan of each sequence."""
        owner = np.searchsorted(sequences.offsets, rows, side="right") - 1
        position = rows - sequences.offsets[owner]
        which, local = np.unique(owner, return_inverse=True)
        read = sequences.select(which)
        before = self.network.initial_state(1).tensors[0][:, -1].repeat(len(rows), 1)  # (n, H) right where nothing came
        for index in read.batches(n_tokens=_SCAN_TOKENS):
            tokens = BehaviourBatch.from_padded(read.pad(index), self.device)
            hidden = self.network.scan(tokens, self.network.initial_state(len(index)))  # (B, T, H)
            place = np.full(len(read), -1)
            place[index] = np.arange(len(index))
            mine = np.flatnonzero((place[local] >= 0) & (position > 0))
            before[torch.from_numpy(mine)] = hidden[place[local[mine]], position[mine] - 1]
        return LSTMHeads(self, before, torch.from_numpy(position == 0).to(self.device)).item_log_probs()

    @torch.no_grad()
    def ranking_scores(self, sequences: Sequences) -> Tensor:
        """Return item logits, (n, I): the order of the log probabilities without their normaliser."""
        vectors, bias = self.network.output_layer()
        query = self.network.to_item(self.interest(self.encode(sequences)))
        logits: Tensor = query @ vectors.t()
        return logits.add_(bias)  # a product that begins with the bias takes half as long again

    def interest(self, state: RecurrentState) -> Tensor:
        """Return the top layer's hidden vector, (B, H)."""
        return state.tensors[0][:, -1]

    def export_onnx(self, path: str | Path) -> None:
        """Write one step of the model as an ONNX graph; see `rlrec.models.onnx_export.export_onnx`."""
        from rlrec.models.onnx_export import export_onnx

        export_onnx(self, path)

    # ---- disk ---------------------------------------------------------------------------------------------------

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        arrays = {name: tensor.cpu().numpy() for name, tensor in self.network.state_dict().items()}
        content: dict[str, Any] = {"calibration": self.calibration.to_dict()}
        if self.privacy is not None:
            content["privacy"] = self.privacy.to_dict()
        return config_to_dict(self.config), content, arrays

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> LSTMModel:
        config = config_from_dict(LSTMConfig, artifact.config, where="manifest")
        space = BehaviourSpace.from_artifact(artifact)
        if "item_features" not in artifact.arrays:
            raise ArtifactError("the weights hold no 'item_features'; this folder was not written by LSTMModel.save")
        features = torch.from_numpy(artifact.arrays["item_features"].copy())
        _check_sizes(artifact, (len(space.items), len(space.event_names), features, config))
        network = SequenceNetwork(len(space.items), len(space.event_names), features, config)
        try:
            network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in artifact.arrays.items()})
        except RuntimeError as error:
            raise ArtifactError(f"the weights do not fit the config in the manifest: {error}") from error
        spent = artifact.content.get("privacy")
        privacy = None if spent is None else PrivacySpent.from_dict(spent)
        return cls(network, space, Calibration.from_dict(artifact.content["calibration"]), privacy=privacy)


def _check_sizes(artifact: Artifact, parts: tuple[int, int, Tensor, LSTMConfig]) -> None:
    """Refuse a config whose network is not that of the weights, before memory is asked for what it claims."""
    n_items, n_events, features, config = parts
    try:
        with torch.device("meta"):
            claimed = SequenceNetwork(n_items, n_events, features.to("meta"), config).state_dict()
    except RuntimeError as error:  # larger than torch can count
        raise ArtifactError(f"the config in the manifest describes no network: {error}") from error
    wrong = [name for name, tensor in claimed.items() if artifact.arrays.get(name, np.empty(0)).shape != tensor.shape]
    if wrong:
        raise ArtifactError(
            f"the weights do not fit the config in the manifest: {wrong[0]!r} should have the shape "
            f"{tuple(claimed[wrong[0]].shape)}; the folder was changed, make the model again"
        )


def _checkpoint(
    folder: Path,
    train: InteractionLog,
    valid: InteractionLog | None,
    config: LSTMConfig,
    seed: int,
    last_only: bool,
) -> TrainingCheckpoint:
    data = [train.sha256, None if valid is None else valid.sha256]
    return TrainingCheckpoint(folder / "checkpoint", fingerprint(config_to_dict(config), seed, last_only, data))


def _release(
    network: SequenceNetwork, train: InteractionLog, sequences: Sequences, watched: Sequences | None, last_only: bool
) -> None:
    """Let the items without training rows into the softmax, with the probability that new items have."""
    if network.cold is None:
        return
    seen = sequences.select(np.arange(min(len(sequences), _RELEASE_SEQUENCES)))
    targets = all_targets(network, seen if watched is None or len(watched) == 0 else watched, last_only=last_only)
    new = float(network.cold[targets.item].float().mean()) if watched is not None and len(watched) else 0.0
    release_cold_items(network, targets.next_hidden[:_RELEASE_TARGETS], new or good_turing(train.item_counts))
