"""From a target, keywords, environment and profiles to one source: which value counts, and how to sign in."""
