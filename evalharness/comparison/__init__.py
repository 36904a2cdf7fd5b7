"""Runs beside runs: pairing, differences, the gate. Reads records only; no model and no task behind any of it."""
