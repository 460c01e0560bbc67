"""From options and limits to a plan with a certificate: limits, program, prices, search, and what explains them."""
