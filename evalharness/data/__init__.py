"""From a task's ``data:`` section to samples: where rows come from, what they are called, which are taken."""
