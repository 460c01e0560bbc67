"""Accounts with the same needs: stable clusters for the one-to-few tier, and lookalikes of won ones (rule A10)."""
