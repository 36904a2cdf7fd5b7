"""An example of a plugin: everything about Roman numerals."""
