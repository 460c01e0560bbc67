"""Log-likelihoods with exact gradients and Hessians, and the integrals in them."""
