"""Many jobs at once: waited for together, looked at together, and how such a set is stored."""
