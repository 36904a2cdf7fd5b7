"""Whether calls of functions are the right ones, by the rules of BFCL v4, and which argument is not."""
