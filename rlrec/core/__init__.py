"""What every part shares and no recommender is in: errors, configs, randomness, protocols, progress, artifacts."""
