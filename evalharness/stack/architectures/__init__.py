"""Whole models, composed of the parts in `evalharness.stack.layers`."""
