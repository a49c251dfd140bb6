"""What begins with the session: the tables of shops take minutes of waiting, which other tests can use."""

from collections.abc import Iterator

import pytest
from shops import ahead


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts last what is judged meanwhile, in whatever order the others are."""
    items.sort(key=lambda item: item.path.name == "test_paid_faults.py")


@pytest.fixture(scope="session", autouse=True)
def judgement(request: pytest.FixtureRequest) -> Iterator[object]:
    """What waits for the judgement of an entry, of all that this session asks for; begun before the first test."""
    chosen = [item for item in request.session.items if item.path.name == "test_paid_faults.py"]
    calls = [item.callspec for item in chosen if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    with ahead(entry.name for call in calls for entry in call.params.values()) as ask:
        yield ask
