"""Wait for the job that another client started, named in the response to its request."""

import asyncio

import httpx

from cfjobs import Bearer, CFJobs
from cfjobs.simulator import CFSimulator


async def main() -> None:
    foundation = CFSimulator()
    url = "https://api.example.org"
    async with (
        httpx.AsyncClient(base_url=url, transport=foundation.transport()) as client,
        CFJobs(url, auth=Bearer("token"), transport=foundation.transport()) as jobs,
    ):
        response = await client.delete("/v3/apps/1cb006ee", headers={"Authorization": "Bearer token"})
        adopted = jobs.adopt(response)
        print(response.status_code, len(adopted.refs), "job")
        job = await jobs.wait(adopted.refs[0], timeout=600)
        print(job.state.name, job.operation)


asyncio.run(main())

# 202 1 job
# SUCCEEDED app.delete
