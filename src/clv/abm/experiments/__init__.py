"""Did it work? Randomised experiments designed and analysed, and what can be said where nobody randomised."""
