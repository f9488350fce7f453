"""The protocol of a job source and what implements it: sources over HTTP, fleets, waiting for many jobs."""
