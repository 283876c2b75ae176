"""Simulated users and their Gymnasium environments."""

from rlrec.envs.registration import register

register()
