"""When to ask about which job, in which request, and what each answer means to each wait."""
