"""A synchronous script: the event loop runs in a thread, and Ctrl-C cancels the waits cleanly."""

import os
import sys

from common import portal, shared_source, wait_all

SETTINGS = {"user": "admin", "password": os.environ["CLUSTER_PASSWORD"]}


def main() -> int:
    with portal() as loop, loop.enter(shared_source(os.environ["CLUSTER"], settings=SETTINGS)) as source:
        outcomes = loop.call(wait_all, source, sys.argv[1:], timeout=3600, check=False)
    print(*outcomes, sep="\n")
    return 0 if all(getattr(outcome, "succeeded", False) for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
