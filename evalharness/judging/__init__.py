"""Judges: what is said of a finished attempt beyond parsing it. Raw verdicts go into the journal; metrics read them."""
