"""Simulated users and their Gymnasium environments; import `rlrec.envs.registration` and call ``register()``."""
