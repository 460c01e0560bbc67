"""Allocate, leave some to the lot, measure, learn, allocate again (rule F4)."""
