"""Returning: how likely a lapsed account comes back, and what its second life is worth (rule C6)."""
