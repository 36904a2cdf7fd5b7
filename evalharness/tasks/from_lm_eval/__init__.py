"""Task files of lm-eval as task files of ours."""
