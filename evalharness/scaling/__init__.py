"""Scaling laws of trainings: how the loss falls with parameters, tokens and operations, and what that predicts."""
