"""Decides what a source reports of its work: the events that observers get, and what is logged."""
