"""The job model: states, refs, jobs, errors, and their plain-data form. Pure; imports nothing above it."""
