"""How a source signs in at Cloud Foundry: UAA's grants, assertions, and the login of the cf command."""
