"""What an account needs in a year, how much of that is ours, and what is still to be had (rule B4)."""
