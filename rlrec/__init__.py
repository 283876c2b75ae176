"""Learn users from a behaviour log, train recommender policies on simulated ones, judge them, write synthetic logs.

Names are imported when they are first used, so that ``import rlrec`` loads no torch.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
    from rlrec.agents.config import PPOConfig
    from rlrec.agents.policies import AgentPolicy
    from rlrec.agents.training import train_agent
    from rlrec.core.estimate import Estimate
    from rlrec.data.catalog import ItemCatalog
    from rlrec.data.check import check_log
    from rlrec.data.cleaning_policy import CleaningPolicy
    from rlrec.data.download import download_log
    from rlrec.data.filters import filter_k_core
    from rlrec.data.ingest import ingest_log
    from rlrec.data.load import load_log
    from rlrec.data.log import InteractionLog
    from rlrec.data.privacy import pseudonymise
    from rlrec.data.rewards import EventRewards, event_rewards
    from rlrec.data.sequences import Sequences
    from rlrec.data.sessions import sessionise
    from rlrec.data.splits import (
        rolling_windows,
        split_by_sequence,
        split_by_time,
        split_by_user,
        split_leave_last_out,
        split_nested_last_out,
    )
    from rlrec.data.vocabulary import Vocabulary
    from rlrec.envs.config import SimulatorConfig
    from rlrec.envs.simulator import UserSimulator
    from rlrec.envs.single import RecommendationEnv
    from rlrec.envs.vector import RecommendationVectorEnv, make_vec
    from rlrec.evaluation.ranking import evaluate_ranking
    from rlrec.evaluation.rollout import evaluate_policies
    from rlrec.gan.config import GANConfig
    from rlrec.gan.sampling import generate_sequences
    from rlrec.gan.sequence_gan import SequenceGAN
    from rlrec.gan.synthetic_log import sequences_to_log
    from rlrec.models.config import LSTMConfig, MarkovConfig, NGramConfig
    from rlrec.models.content import ContentModel
    from rlrec.models.counting import MarkovModel, PopularityModel
    from rlrec.models.factorization import FactorizationModel
    from rlrec.models.hybrid import HybridModel
    from rlrec.models.knn import ItemKNNModel, UserKNNModel
    from rlrec.models.lstm import LSTMModel
    from rlrec.models.newcomers import NewcomerModel
    from rlrec.models.ngram import NGramModel
    from rlrec.models.registry import load_model

__all__ = [
    "AgentPolicy",
    "CleaningPolicy",
    "ContentModel",
    "Estimate",
    "EventRewards",
    "FactorizationModel",
    "GANConfig",
    "GreedyPolicy",
    "HybridModel",
    "InteractionLog",
    "ItemCatalog",
    "ItemKNNModel",
    "LSTMConfig",
    "LSTMModel",
    "MarkovConfig",
    "MarkovModel",
    "NGramConfig",
    "NGramModel",
    "NewcomerModel",
    "PPOConfig",
    "PopularPolicy",
    "PopularityModel",
    "RandomPolicy",
    "RecommendationEnv",
    "RecommendationVectorEnv",
    "SequenceGAN",
    "Sequences",
    "SimulatorConfig",
    "UserKNNModel",
    "UserSimulator",
    "Vocabulary",
    "check_log",
    "download_log",
    "evaluate_policies",
    "evaluate_ranking",
    "event_rewards",
    "filter_k_core",
    "generate_sequences",
    "ingest_log",
    "load_log",
    "load_model",
    "make_vec",
    "pseudonymise",
    "rolling_windows",
    "sequences_to_log",
    "sessionise",
    "split_by_sequence",
    "split_by_time",
    "split_by_user",
    "split_leave_last_out",
    "split_nested_last_out",
    "train_agent",
]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "agents.baselines": ["GreedyPolicy", "PopularPolicy", "RandomPolicy"],
        "agents.config": ["PPOConfig"],
        "agents.policies": ["AgentPolicy"],
        "agents.training": ["train_agent"],
        "core.estimate": ["Estimate"],
        "data.catalog": ["ItemCatalog"],
        "data.check": ["check_log"],
        "data.cleaning_policy": ["CleaningPolicy"],
        "data.download": ["download_log"],
        "data.filters": ["filter_k_core"],
        "data.ingest": ["ingest_log"],
        "data.load": ["load_log"],
        "data.privacy": ["pseudonymise"],
        "data.rewards": ["EventRewards", "event_rewards"],
        "data.sessions": ["sessionise"],
        "data.log": ["InteractionLog"],
        "data.sequences": ["Sequences"],
        "data.splits": [
            "rolling_windows",
            "split_by_sequence",
            "split_by_time",
            "split_by_user",
            "split_leave_last_out",
            "split_nested_last_out",
        ],
        "data.vocabulary": ["Vocabulary"],
        "envs.config": ["SimulatorConfig"],
        "envs.simulator": ["UserSimulator"],
        "envs.single": ["RecommendationEnv"],
        "envs.vector": ["RecommendationVectorEnv", "make_vec"],
        "evaluation.ranking": ["evaluate_ranking"],
        "evaluation.rollout": ["evaluate_policies"],
        "gan.config": ["GANConfig"],
        "gan.sequence_gan": ["SequenceGAN"],
        "gan.sampling": ["generate_sequences"],
        "gan.synthetic_log": ["sequences_to_log"],
        "models.config": ["LSTMConfig", "MarkovConfig", "NGramConfig"],
        "models.content": ["ContentModel"],
        "models.counting": ["MarkovModel", "PopularityModel"],
        "models.factorization": ["FactorizationModel"],
        "models.hybrid": ["HybridModel"],
        "models.knn": ["ItemKNNModel", "UserKNNModel"],
        "models.lstm": ["LSTMModel"],
        "models.newcomers": ["NewcomerModel"],
        "models.ngram": ["NGramModel"],
        "models.registry": ["load_model"],
    },
)
