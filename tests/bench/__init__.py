"""`make bench`: what the program must reach, each figure beside the bare cost of the same work on this machine."""
