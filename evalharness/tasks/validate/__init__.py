"""What is wrong with a task file, found before a model is asked."""
