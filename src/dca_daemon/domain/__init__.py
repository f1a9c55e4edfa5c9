"""The rules, as plain values and functions: no input, no output, nothing of the other rooms."""
