"""Runs of profiles with an OpenAPI document, as users start them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from described import Api, described
from openapi_tables import PAID, becomes, of, paper
from sessions import nested, profile, sandbox

from conformance.report.review import review

pytest.importorskip("schemathesis")

Server = tuple[Api, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with described() as found:
        yield found


def text(server: Server, openapi: str = 'url = "/openapi.json"', claims: str = '"openapi"', target: str = "") -> str:
    """A profile of the described API; without ``claims`` every class that can be."""
    claimed = f"[claims]\nclasses = [{claims}]\n" if claims else ""
    return (
        f'edition = "2026.11"\n[target]\nname = "Cities"\nbase_url = "{server[1]}"\n{target}\n{claimed}'
        '[[endpoint]]\nname = "report"\nmethod = "POST"\npath = "/v1/reports"\njson = { city = "x" }\nprotocol = "x402"\n'
        f"[openapi]\n{openapi}\n"
    )


def test_each_operation_has_a_node_of_its_own(server: Server, tmp_path: Path) -> None:
    """Ids are ours, unique, and can be pasted back; what a run says follows from its report alone."""
    server[0].begin(document=paper())
    ran = nested(tmp_path, text=text(server))
    assert (ran.code, ran.last) == (0, "conformant: 11 passed, 2 inapplicable; judged openapi")
    assert list(review(ran.report)) == []
    assert ran.report["openapi"]["document"] == paper()
    listed = nested(tmp_path, "--co", "-q", text=text(server))
    assert "conformance/checks/openapi.py::test_document" in listed.out
    one = nested(tmp_path, f"conformance/checks/openapi.py::test_paid_is_refused[{PAID}]", text=text(server))
    assert one.outcomes[f"openapi.paid-is-refused {PAID}"] == "passed"
    assert one.verdict == "incomplete"


def test_the_sandbox_does_what_its_document_says(tmp_path: Path) -> None:
    """What is sold is refused, at the price that is told, and what is free is free."""
    with sandbox() as here:
        ran = nested(
            tmp_path,
            text=profile(here, claims='[claims]\nclasses = ["openapi"]\n', more='[openapi]\nurl = "/openapi.json"\n'),
        )
    assert ran.verdict == "conformant", ran.out
    assert {row for row, outcome in ran.outcomes.items() if outcome == "inapplicable"} == {
        "openapi.links ",
        "openapi.refusal-family GET /health",
    }


def test_a_finding_is_reproduced_by_its_report(server: Server, tmp_path: Path) -> None:
    """The curl line is that of the smallest request, and a third party comes to the same finding."""
    server[0].begin(
        of(PAID, becomes(200, {"name": "x", "size": 1}), lambda asked: b"pages" in asked.body), document=paper()
    )
    ran = nested(tmp_path, text=text(server))
    assert ran.code == 1
    assert """--data-raw '{"city": "", "pages": 1}'""" in ran.out
    assert list(review(ran.report)) == []


def test_a_document_in_a_file_is_listed_without_a_run(server: Server, tmp_path: Path) -> None:
    """Its operations are collected before the target is asked anything."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "api.json").write_text(json.dumps(paper()))
    server[0].begin(document=paper())
    ran = nested(tmp_path, "--co", "-q", text=text(server, 'file = "api.json"'))
    assert f"conformance/checks/openapi.py::test_paid_is_refused[{PAID}]" in ran.out
    assert server[0].asked == []


def test_workers_judge_the_same_operations(server: Server, tmp_path: Path) -> None:
    """The document is read once, by the controller."""
    server[0].begin(document=paper())
    ran = nested(tmp_path, "-n", "2", "-p", "xdist", text=text(server))
    assert ran.last == "conformant: 11 passed, 2 inapplicable; judged openapi", ran.out


def test_without_the_extra_the_class_says_so(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claimed, it is an error with one sentence; not claimed, it is not judged, for the same reason."""
    monkeypatch.setitem(sys.modules, "schemathesis", None)
    server[0].begin(document=paper())
    ran = nested(tmp_path, text=text(server))
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert 'class "openapi" takes more than is installed here: pip install "pytest-402[openapi]"' in ran.out
    assert "Traceback" not in ran.out
    assert list(review(ran.report)) == []
    ran = nested(tmp_path, "--conformance-only=openapi", text=text(server, claims=""))
    assert 'pip install "pytest-402[openapi]"' in ran.report["unjudged"]["openapi"]


def test_in_production_nothing_is_written(server: Server, tmp_path: Path) -> None:
    """What may change something is not asked with anything but the profile's own request."""
    server[0].begin(document=paper())
    ran = nested(tmp_path, text=text(server, target='environment = "production"'))
    assert ran.outcomes[f"openapi.paid-is-refused {PAID}"] == "untestable"
    assert {asked.body for asked in server[0].asked if asked.method == "POST"} == {b'{"city": "x"}'}
    assert ran.outcomes["openapi.content-fits GET /v1/cities/{id}"] == "passed"


def test_somebody_is_named_who_asks(server: Server, tmp_path: Path) -> None:
    """Operations without an endpoint are asked by openapi.identity."""
    server[0].begin(document=paper())
    who = 'url = "/openapi.json"\nidentity = "broke"\n[identity.broke]\nheaders = { X-Who = "broke" }\n'
    nested(tmp_path, text=text(server, who))
    assert {asked.headers.get("x-who") for asked in server[0].asked if asked.method == "GET"} == {"broke"}


@pytest.mark.parametrize(
    ("openapi", "says"),
    [
        (
            'url = "/a"\npaid = ["x"]\nfree = ["x"]',
            'openapi.free[0] is "x", which stands in openapi.paid as well; keep one',
        ),
        ('url = "/a"\nidentity = "broek"', 'openapi.identity is "broek", and there is no [identity.NAME] table'),
        ('url = "ftp://a"', "expected an http or https URL without query and fragment, or a path"),
    ],
)
def test_a_table_that_cannot_be_is_refused(server: Server, tmp_path: Path, openapi: str, says: str) -> None:
    """With a sentence that says what to do."""
    ran = nested(tmp_path, text=text(server, openapi))
    assert ran.code == 4
    assert says in ran.out
