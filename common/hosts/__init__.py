"""How a host's tasks, threads and scripts share sources, and a loop where they have none."""
