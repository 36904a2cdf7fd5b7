"""Methods: how a sample is elicited. Each is a coroutine over one sample; none knows about batches."""
