"""``python -m conformance``: judge a recorded answer, the sandbox and the facilitator by hand, HTTP/2, the catalogue."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__: list[str] = []


def main() -> None:
    """Runs one command."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sandbox = commands.add_parser("sandbox", help="serve the reference target on 127.0.0.1")
    sandbox.add_argument("--port", type=int, default=4020, help="default: 4020")
    sandbox.add_argument(
        "--store", default="", metavar="PATH", help="file of used payments, which instances share (default: memory)"
    )
    facilitator = commands.add_parser("facilitator", help="serve the scripted facilitator until interrupted")
    facilitator.add_argument("--listen", default="127.0.0.1:4402", metavar="HOST:PORT", help="default: 127.0.0.1:4402")
    judging = commands.add_parser(
        "judge", help="judge a recorded answer: exit 0 clean, 1 with findings, 4 when file or profile cannot be read"
    )
    judging.add_argument(
        "file", type=Path, metavar="FILE", help="JSON {status, headers, body}, HAR, or what curl -i prints"
    )
    judging.add_argument(
        "--profile", default="auto", metavar="NAME|PATH|auto", help="default: the one that reads it best"
    )
    judging.add_argument("--json", action="store_true", help="print {family, profile, facts, findings}")
    framing = commands.add_parser(
        "http2",
        help="send one request in HTTP/2, its fields as they are: on standard input a line for each (:method GET), an empty one, the content",
    )
    framing.add_argument("url", metavar="URL", help="https://HOST:PORT")
    framing.add_argument(
        "--trailer", action="append", default=[], metavar="'NAME VALUE'", help="a field behind the content"
    )
    framing.add_argument(
        "--before", action="append", default=[], metavar="LINES", help="a request that is answered before, in its lines"
    )
    commands.add_parser("catalogue", help="print every requirement, its check, or why it is excluded")
    given = parser.parse_args()
    if given.command == "sandbox":
        from conformance.sandbox import serve  # noqa: PLC0415 - the catalogue needs no server

        serve(given.port, given.store)
    elif given.command == "facilitator":
        from conformance.facilitator import serve as serve_facilitator  # noqa: PLC0415 - as above

        serve_facilitator(given.listen)
    elif given.command == "judge":
        sys.exit(_judge(given.file, given.profile, as_json=given.json))
    elif given.command == "http2":
        sys.exit(_http2(given.url, given.trailer, given.before))
    else:
        sys.stdout.writelines(f"{line}\n" for line in _catalogue())


def _http2(url: str, trailers: list[str], before: list[str]) -> int:
    from conformance import frames, raw  # noqa: PLC0415 - as above
    from conformance.outcome import printable  # noqa: PLC0415 - as above

    written, _, body = sys.stdin.buffer.read().partition(b"\n\n")
    try:
        answer = frames.ask(
            raw.Address.of(url),
            frames.read(written.decode("latin-1").split("\n")),
            body=body,
            trailers=frames.read(trailers),
            before=tuple(frames.read(lines.split("\n")) for lines in before),
            timeout=10.0,
            max_body=5_000_000,
            context=frames.context(),
        )
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    if isinstance(answer, raw.RawFailure):
        sys.stderr.write(f"{answer.detail}\n")
        return 1
    lines = [f"{answer.version} {answer.status}", *(f"{name}: {value}" for name, value in answer.headers), ""]
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.body)
    return 0


def _judge(file: Path, name: str, *, as_json: bool) -> int:
    from conformance import judge, recorded  # noqa: PLC0415 - as above
    from conformance.profile import ProfileError  # noqa: PLC0415 - as above

    try:
        judged = [judge.judge(r, name, cwd=Path.cwd(), environ=os.environ) for r in recorded.read(file)]
    except (recorded.Unreadable, ProfileError) as error:
        sys.stderr.write(f"{error}\n")
        return 4
    if as_json:
        told = [one.to_json() for one in judged]
        sys.stdout.write(json.dumps(told[0] if len(told) == 1 else told, indent=2, ensure_ascii=True) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for one in judged for line in one.story())
    return 1 if any(one.findings for one in judged) else 0


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
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has read enough; nothing more is written, at the end of the process either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
