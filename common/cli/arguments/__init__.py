"""What a command line says, read and checked: jobs, durations, states, and the options that are shared."""
