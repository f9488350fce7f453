"""Save the credentials of a cluster as a block, as the form in Prefect's web interface does."""

import os

from pydantic import SecretStr

from ontapjobs.prefect import OntapCredentials

if __name__ == "__main__":
    credentials = OntapCredentials(
        endpoint=os.environ["CLUSTER"],  # such as https://cluster1.example.com
        user="jobs",
        password=SecretStr(os.environ["CLUSTER_PASSWORD"]),
    )
    credentials.save("cluster1", overwrite=True)
