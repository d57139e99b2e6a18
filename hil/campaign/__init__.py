"""Campaigns: the trials of a run, their plan, their record, and what the run comes to."""
