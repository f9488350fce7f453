"""What other programs load by entry point when they start. It imports nothing of the SDK.

So they start also where another package called ``common`` stands in the place of ours; whoever then uses the
SDK in them gets its error.
"""
