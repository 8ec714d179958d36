"""One file for each thing that can be wrong: `check(view)` gives a Finding or None. The folder is their list."""
