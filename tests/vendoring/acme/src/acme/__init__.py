"""An SDK that waits for jobs by a copy of jobsource in its own tree."""
