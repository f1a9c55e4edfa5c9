"""Bad inputs at scale: what must hold for whatever comes from outside. See docs/testing.md.

Each target makes an input out of `Choices` and checks what must hold of it. The same targets are driven by
Hypothesis (`test_targets.py`), by atheris (`python -m tests.fuzz`), and by the files in `regressions/`.
"""
