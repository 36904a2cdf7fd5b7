"""Several workers behind one backend: the plan of their work, and the processes or machines that do it."""
