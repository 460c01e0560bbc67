"""Response by spend: S-shaped curves, how they are fitted or judged, and how much to spend on an account."""
