"""From texts to shards of tokens that a model is trained on, and sequences drawn from them."""
