"""What is still to come from an account, exactly, for one account or a million."""
