"""An OpenAI-compatible server over a backend."""
