"""Tools that a model may use: one protocol, a calculator, Python in the sandbox."""
