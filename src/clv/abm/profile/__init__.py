"""Who is worth winning: what distinguishes the accounts that became valuable (rule A9)."""
