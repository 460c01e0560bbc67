"""From bytes to values: where a table is, what its cells say, and what ids, dates and money they hold."""
