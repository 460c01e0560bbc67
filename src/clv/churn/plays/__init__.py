"""Plays: what to do about each account, by the money it is expected to add (rule C4)."""
