"""LNbits is killed in bursts of payouts, round after round, and every sat is accounted for: `make soak`."""
