from stack.training.fixtures import _training, base, texts_corpus

__all__ = ["_training", "base", "texts_corpus"]
