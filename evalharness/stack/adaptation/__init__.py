"""Models made fit for a purpose: supervised fine-tuning, preferences, adapters."""
