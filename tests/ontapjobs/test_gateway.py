"""Links of a server behind a gateway or a proxy: which are followed, and as which path of ONTAP's."""

from __future__ import annotations

import pytest

from common.model.errors import DecodeError
from ontapjobs.lists.paging import next_page_path
from ontapjobs.paths.links import jobs_path, own_path, results_target

UM = "https://um.example.com"
GATEWAY = f"{UM}/api/gateways/1cd8"
PROXY = f"{UM}/proxy"
JOBS = "/api/cluster/jobs"


@pytest.mark.parametrize(
    ("endpoint", "href"),
    [
        (UM, "/api/cluster/jobs?x=1"),
        (UM, f"{UM}/api/cluster/jobs?x=1"),
        (GATEWAY, "/api/gateways/1cd8/cluster/jobs?x=1"),
        (GATEWAY, f"{GATEWAY}/cluster/jobs?x=1"),
        (GATEWAY, "/api/gateways/1cd8/api/cluster/jobs?x=1"),
        (GATEWAY, "/api/cluster/jobs?x=1"),
        (PROXY, "/proxy/api/cluster/jobs?x=1"),
        (PROXY, f"{PROXY}/api/cluster/jobs?x=1"),
        (PROXY, "/api/cluster/jobs?x=1"),
    ],
)
def test_a_link_to_the_next_page_is_followed_rewritten_or_not(endpoint: str, href: str) -> None:
    assert next_page_path(href, endpoint) == f"{JOBS}?x=1"


@pytest.mark.parametrize(
    "href",
    [f"{GATEWAY}{root}/cluster/jobs/b5145e1d?x=1" for root in ("", "/api")]
    + ["/api/cluster/jobs/b5145e1d?x=1"],
)
def test_a_jobs_link_through_the_gateway_is_among_the_clusters_jobs(href: str) -> None:
    assert own_path(href) == "/api/cluster/jobs/b5145e1d?x=1"
    assert jobs_path(href) is None


def test_other_links_through_the_gateway_are_ontaps_paths() -> None:
    assert jobs_path(f"{GATEWAY}/data-engine/jobs/1") == "/api/data-engine/jobs"
    assert results_target(f"{GATEWAY}/storage/luns?job_results_uuid=1", "1") == (
        "/api/storage/luns?job_results_uuid=1"
    )


@pytest.mark.parametrize(
    ("endpoint", "href"),
    [
        (GATEWAY, "/api/gateways/another/cluster/jobs?x=1"),
        (GATEWAY, "/api/gateways/1cd8-2/cluster/jobs?x=1"),
        (GATEWAY, f"{UM}/api/cluster/jobs?x=1"),
        (GATEWAY, "https://evil.example/api/gateways/1cd8/cluster/jobs"),
        (GATEWAY, "//evil.example/api/gateways/1cd8/cluster/jobs"),
        (PROXY, "/storage/volumes"),
        (PROXY, "/api/gateways/1cd8/cluster/jobs"),
        (PROXY, "/proxy2/api/cluster/jobs"),
        (PROXY, f"{UM}/api/cluster/jobs"),
        (PROXY, "api/cluster/jobs"),
        (UM, "http://um.example.com/api/cluster/jobs"),
    ],
)
def test_a_link_that_leads_out_of_the_endpoints_path_is_not_followed(endpoint: str, href: str) -> None:
    with pytest.raises(DecodeError, match="not followed"):
        next_page_path(href, endpoint)
