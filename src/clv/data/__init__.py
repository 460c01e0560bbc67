"""What happened? Files and databases become checked tables, rejected rows with reasons, one summary row an account."""
