"""Instructions that a program can verify, as IFEval gives them: 25 kinds of them, strict and loose."""
