"""Allocation when values are uncertain: regret, the value of knowing more, and plans that avert risk."""
