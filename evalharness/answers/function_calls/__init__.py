"""Calls of functions in what a model wrote, in any of the forms that models are asked for, read as one list."""
