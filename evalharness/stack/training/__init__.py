"""From a corpus to a trained model: what a step is made of, and what of a training is kept."""
