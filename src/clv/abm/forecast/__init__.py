"""What a plan will return: money, time and the chance of a loss, before it is spent."""
