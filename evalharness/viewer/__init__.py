"""`evalharness view`: a local server that pages through the samples of runs."""
