"""Accounts under contract: how likely they renew, why they leave, and which of the six stages they are in."""
