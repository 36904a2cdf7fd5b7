"""From a row to what a model is given: templates, demonstrations, chat formatting, ids, and the split rules."""
