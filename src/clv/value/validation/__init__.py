"""Whom to believe: forecasts against outcomes, assumptions against data."""
