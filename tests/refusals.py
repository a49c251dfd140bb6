"""A small profile to write, and what is said when it is refused."""

from pathlib import Path

import pytest

from conformance import profile
from conformance.profile import ProfileError

EDITION = 'edition = "2026.11"\n'
TARGET = '[target]\nname = "Acme"\nbase_url = "https://api.acme.example"\n'
ENDPOINT = '[[endpoint]]\nname = "quote"\npath = "/quote"\nprotocol = "x402"\n'
GOOD = EDITION + TARGET + ENDPOINT
TERMS = '[[endpoint.terms]]\nscheme = "exact"\nnetwork = "eip155:84532"\nasset = "0xA"\namount = '


def refused(folder: Path, text: str, **environ: str) -> list[str]:
    """The sentences that refuse ``text`` as the profile acme, without the name of the file."""
    path = folder / "profiles" / "acme.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    with pytest.raises(ProfileError) as caught:
        profile.load("acme", cwd=folder, environ=environ)
    lines = str(caught.value).splitlines()
    assert [line for line in lines if not line.startswith("profiles/acme.toml: ")] == []
    return [line.removeprefix("profiles/acme.toml: ") for line in lines]
