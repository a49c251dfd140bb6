"""The parts of a profile as immutable values; the shapes of ``schemas/profile.schema.json`` after loading."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from conformance import _data
from conformance.profile.place import Origin
from conformance.profile.words import (
    ANONYMOUS,
    Convention,
    Entitlement,
    Environment,
    FacilitatorMode,
    Family,
    Head,
    MarkerKind,
    PaymentFlow,
    StoredErrors,
)
from conformance.selector import Selector

__all__ = [
    "Amount",
    "Answer",
    "Browser",
    "Budget",
    "Certificate",
    "Claims",
    "Crawl",
    "Endpoint",
    "Facilitator",
    "Flow",
    "Idempotency",
    "Identity",
    "KeyPlace",
    "Limits",
    "Marker",
    "Observe",
    "OpenApi",
    "Payer",
    "Price",
    "Profile",
    "Start",
    "Step",
    "Target",
    "Terms",
    "Unread",
    "Variation",
    "When",
    "Witness",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How the target is started; ``{port}``, ``{facilitator}``, ``{python}`` and ``{scratch}`` are filled in then."""

    command: str
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: str = "/"
    restart: bool = False
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The live API; ``timeout`` in seconds. ``base_url`` may hold ``{port}`` until ``Profile.at``."""

    name: str
    base_url: str
    environment: Environment = Environment.TEST
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 10.0
    helpers: tuple[str, ...] = ()
    """Hosts that may be contacted beside it, that of ``backend`` included."""
    backend: str | None = None
    """The service behind the gateway that it is, asked with the same requests."""
    start: Start | None = None

    def __post_init__(self) -> None:
        host = urlsplit(self.backend).netloc if self.backend else ""
        if host and host not in self.helpers:
            object.__setattr__(self, "helpers", (*self.helpers, host))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The classes of the edition that the vendor claims."""

    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is asking: the headers that say so."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    expect: tuple[int, ...] = ()
    """The statuses with which whoever asks so is answered at every endpoint; empty: nothing is said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Selects an answer rule; every condition that is given has to hold, and nothing is asserted by it."""

    jmespath: str | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    """Header fields and the values they must have."""
    text: str | None = None
    """A regular expression, searched in the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one kind of refusal looks like."""

    name: str
    family: Family
    status: tuple[int, ...] = (402,)
    when: When | None = None
    schema: Path | None = None
    allow_sensitive: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Selector] = field(default_factory=dict)
    waive: Mapping[str, str] = field(default_factory=dict)
    """Fact -> why this API does not send it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What only the paid answer has: a text in it, a header, a member of its JSON body, or a match of a regex."""

    kind: MarkerKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """What is laid over an endpoint's request to get another one at the same price: members replace or add."""

    path: str | None = None
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A price in atomic units; an exact one has ``minimum == maximum``."""

    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One way to pay for an endpoint; ``pay_to`` is None where the payee changes from offer to offer."""

    scheme: str
    network: str
    asset: str
    amount: Amount | None = None
    """None where the price is told only to those who are known, as on cloudflare:402."""
    pay_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A way to see that the protected handler ran: a number that moves when it does.

    It stands in the answer to ``path``, at a JSON Pointer or in a header, or it is how often the regular expression
    ``log`` stands in the log of a target that we started.
    """

    path: str = ""
    pointer: str = ""
    header: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route of the target, the request that reaches it and what it costs; at most one of json, form and body."""

    name: str
    path: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    body_schema: Path | None = None
    """The JSON Schema of the bodies that it takes, ``json`` among them."""
    protocol: Literal["x402"] | None = None
    versions: tuple[int, ...] = ()
    """The x402 versions it speaks; empty: as advertised."""
    flow: PaymentFlow = PaymentFlow.AUTO
    marker: Marker | None = None
    entitlement: Entitlement | float = Entitlement.ONCE
    """A number is in seconds."""
    head: Head = Head.PROTECTED
    dynamic: tuple[str, ...] = ()
    """JSON Pointers, ``*`` for any member, of what may differ between two equal offers."""
    failing: Variation | None = None
    slow: Variation | None = None
    terms: tuple[Terms, ...] = ()
    witness: Witness | None = None
    answers: tuple[str, ...] = ()
    identity: str = ANONYMOUS
    paid_identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The browser in which pages are looked at."""

    executable: str
    """A path, or a name on PATH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl:
    """What search engines are meant to index."""

    paths: tuple[str, ...]
    paywalled: tuple[str, ...] = ()
    """Those of ``paths`` of which only a part is to be read without payment."""
    marker: Marker | None = None
    """What only the whole of a paywalled page has; beside the markers of endpoints with its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facilitator:
    """The x402 facilitator of the run; ``url`` is how the target sees it."""

    mode: FacilitatorMode = FacilitatorMode.SCRIPTED
    listen: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who pays; without a key one is made for the run."""

    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that a run may spend of one asset, in atomic units."""

    network: str
    asset: str
    max_total: int
    real_money: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """Where the idempotency key travels: in a header, or as the member of the body at a JSON Pointer."""

    header: str | None = None
    member: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """The idempotency rules of the target, those of its convention filled in; retention in seconds."""

    convention: Convention
    key: KeyPlace
    quoted: bool
    mismatch: tuple[int, ...]
    in_flight: tuple[int, ...]
    missing: tuple[int, ...]
    errors: StoredErrors
    scope: str
    replay_header: str | None = None
    retention: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """A read-only probe of state."""

    path: str
    pointer: str
    identity: str = ANONYMOUS
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one success takes of an account, in its unit; a fixed one has ``minimum == maximum``."""

    minimum: Decimal
    maximum: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of a flow; without ``expect`` any 2xx will do."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    expect: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The way from refusal to access, and back."""

    name: str
    endpoint: str
    steps: tuple[Step, ...]
    undo: tuple[Step, ...] = ()
    identity: str = ANONYMOUS
    price: Price | None = None
    """What one success takes, in the unit of the account; None: what the refusal says is required."""
    within: float = 5.0
    """Seconds after which what the steps bring about, or the undo, has come about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Why an OpenAPI document was not read."""

    kind: Literal["malformed", "beyond", "missing"]
    """It is none; it is more than is read here; it, or what reads it, is not there."""
    why: str
    """A sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApi:
    """The target's OpenAPI document, and its operations that cost, are free, or are not known to be either.

    An operation is named by its operationId, by method and path, by its path, or by a pattern of these with ``*``.
    """

    file: Path | None = None
    url: str | None = None
    """A path is one below ``target.base_url``."""
    paid: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    identity: str = ANONYMOUS
    """Who asks where no endpoint says so."""
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    """As the run read it."""
    unread: Unread | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may take: requests per endpoint, seconds of back-off in all, bytes read of one answer."""

    max_requests: int = 2000
    max_examples: int = 25
    rounds: int = 5
    volley: int = 20
    max_wait: float = 60.0
    max_body: int = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a certificate says about the product that was judged."""

    vendor: str
    product: str
    version: str
    artefact: Path | None = None
    contact: str | None = None
    valid_days: int = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One target, how it is asked and what its vendor claims."""

    name: str
    path: Path
    edition: str
    target: Target
    endpoints: tuple[Endpoint, ...]
    claims: Claims | None = None
    identities: Mapping[str, Identity] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    facilitator: Facilitator = field(default_factory=Facilitator)
    payer: Payer = field(default_factory=Payer)
    budgets: tuple[Budget, ...] = ()
    idempotency: Idempotency | None = None
    observe: Mapping[str, Observe] = field(default_factory=dict)
    flows: tuple[Flow, ...] = ()
    openapi: OpenApi | None = None
    crawl: Crawl | None = None
    browser: Browser | None = None
    limits: Limits = field(default_factory=Limits)
    certificate: Certificate | None = None
    document: dict[str, Any] = field(repr=False)
    """The effective profile as JSON, every secret replaced by ``<secret:NAME>``."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variable -> its value."""
    origins: tuple[Origin, ...] = ()

    @property
    def shipped(self) -> bool:
        """Whether this is a profile that comes with the package."""
        return self.path.parent == _data.profiles()

    def at(self, base_url: str) -> "Profile":
        """This profile with the real ``base_url`` of a target that we started."""
        document = {**self.document, "target": {**self.document["target"], "base_url": base_url}}
        return replace(self, target=replace(self.target, base_url=base_url), document=document)
