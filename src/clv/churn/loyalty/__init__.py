"""Loyal or just retained: who buys on discount, in season or a little of what it needs (rule C5); what discounts do."""
