"""Isolated execution of model-written code: levels of isolation, programs, tests kept apart from what they test."""
