"""What orchestrators need of the SDK: waits that they park, and outcomes that they store."""
