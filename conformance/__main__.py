"""``python -m conformance``: the sandbox and the facilitator by hand, and the catalogue as a table."""

import argparse
import sys
from collections.abc import Iterator

__all__: list[str] = []


def main() -> None:
    """Runs one command."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sandbox = commands.add_parser("sandbox", help="serve the reference target on 127.0.0.1")
    sandbox.add_argument("--port", type=int, default=4020, help="default: 4020")
    facilitator = commands.add_parser("facilitator", help="serve the scripted facilitator until interrupted")
    facilitator.add_argument("--listen", default="127.0.0.1:4402", metavar="HOST:PORT", help="default: 127.0.0.1:4402")
    commands.add_parser("catalogue", help="print every requirement, its check, or why it is excluded")
    given = parser.parse_args()
    if given.command == "sandbox":
        from conformance.sandbox import serve  # noqa: PLC0415 - the catalogue needs no server

        serve(given.port)
    elif given.command == "facilitator":
        from conformance.facilitator import serve as serve_facilitator  # noqa: PLC0415 - as above

        serve_facilitator(given.listen)
    else:
        sys.stdout.writelines(f"{line}\n" for line in _catalogue())


def _catalogue() -> Iterator[str]:
    from conformance import catalogue, checks  # noqa: PLC0415 - a server needs no checks, and starts sooner without

    found = {
        check.requirement: f"conformance/checks/{path.name}::{check.name}"
        for path, own in checks.load().items()
        for check in own
    }
    yield "| requirement | level | class | grew from | check, or why it is excluded |"
    yield "| --- | --- | --- | --- | --- |"
    for r in catalogue.load().requirements.values():
        level = "" if r.excluded else str(r.level)
        yield f"| {r.id} | {level} | {r.cls} | {', '.join(r.aka)} | {found.get(r.id) or 'excluded: ' + r.excluded} |"


if __name__ == "__main__":
    main()
