"""How parameters are found: equal rows packed, exact ascent, weak priors, and what the data leave open."""
