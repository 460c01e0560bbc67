"""How sure: draws of parameters, of what an account may expect, and of what will really come in."""
