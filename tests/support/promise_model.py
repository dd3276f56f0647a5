"""What may be published and what must be, written from the promise and not from the code: naive, slow and exact.

A target is known by its mesh, name and address; the model knows nothing of keys, ordinals, threads or files.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

FOREVER = float("inf")

START_WAIT = 30.0

SAVED_AHEAD = 0.25
"""By how much what is saved of a contact may be ahead of it, as a share of ``max_age``."""

Place = tuple[str, str, str]
"""Mesh, name and address."""

World = dict[Place, int]
"""Targets and the version of their labels."""


@dataclass
class Absence:
    """A target that is published and missing.

    Args:
        since: since when, in the present contact; None until an answer of this contact lacks it.
        doubt: the broken resources that may be this target.
        with_many: whether too many vanished together.
    """

    since: float | None = None
    doubt: set[bytes] = field(default_factory=set)
    with_many: bool = False


@dataclass(eq=False)
class Plane:
    """One control plane as an operator thinks of it, whatever it is called and wherever it answers.

    Args:
        name: in the settings.
        endpoints: where it answers, as the settings say.
        source: the connection's owner; another one after each change of name or address.
        unbroken_since: since when no connection has failed.
        silent: since when a response is overdue in the present contact; None while none is.
        sent: what was sent last in the present contact, if its targets expired because of silence.
        seen: the last moment of contact, at the earliest and at the latest: of that before a restart, only what was
            saved by the wall clock is known.
        until: the same by the wall clock, as it may be saved; None if it is not.
        began_with: the same at the start of the process; None once it was met, or the clock was set.
        only_in_file: targets of which only the published file was known; they are shown only where a file has them.
    """

    name: str
    endpoints: frozenset[str]
    hold: float = 120.0
    max_drop: float = 0.5
    max_age: float = FOREVER
    published: World = field(default_factory=dict)
    answer: World = field(default_factory=dict)
    absent: dict[Place, Absence] = field(default_factory=dict)
    let_go: dict[Place, float] = field(default_factory=dict)
    broken: set[bytes] = field(default_factory=set)
    origin: frozenset[str] = frozenset()
    known: bool = False
    answered: bool = False
    contact: float | None = None
    unbroken_since: float = 0.0
    silent: float | None = None
    sent: World | None = None
    lost: float | None = None
    empty_since: float | None = None
    born: float = 0.0
    seen: tuple[float, float] = (0.0, 0.0)
    until: tuple[float, float] | None = None
    until_on_disk: tuple[float, float] | None = None
    began_with: tuple[float, float] | None = None
    clock_at_start: float = 0.0
    saved: tuple[World, frozenset[str]] | None = None
    on_disk: tuple[World, frozenset[str]] | None = None
    endpoints_are_known: bool = True
    shown: dict[Place, tuple[str, Place, int]] = field(default_factory=dict)
    only_in_file: set[Place] = field(default_factory=set)
    only_in_file_on_disk: set[Place] = field(default_factory=set)
    name_in_file: str = ""

    def __post_init__(self) -> None:
        self.seen = self.born, self.born

    def age(self, now: float) -> float | None:
        """Return how long ago the last contact was."""
        if self.is_in_contact:
            return 0.0
        last = self.lost if self.silent is None else self.silent
        return None if last is None else now - last

    @property
    def is_in_contact(self) -> bool:
        """Whether a contact has begun and is not silent."""
        return self.contact is not None and self.silent is None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the settings name an address that nothing of what is published came from."""
        return bool(self.published and self.origin) and not self.origin & self.endpoints

    def connect(self, now: float) -> None:
        """Begin a contact; every hold begins anew."""
        self.disconnect(now)
        self.contact = self.unbroken_since = now

    def disconnect(self, now: float) -> None:
        """Lose the contact."""
        if self.contact is not None:
            self.lost = now if self.silent is None else self.silent
            self._meet(self.lost)
        self.contact = self.empty_since = self.silent = self.sent = None
        for absence in self.absent.values():
            absence.since = None

    def break_off(self, now: float) -> None:
        """Let a connection be closed and made again at once: the holds of many begin anew, the contact goes on."""
        self.unbroken_since = now
        for absence in self.absent.values():
            if absence.with_many:
                absence.since = None

    def take(self, answer: World, broken: Iterable[bytes], now: float) -> None:
        """Take an answer of the present contact."""
        self.silent = self.sent = None
        broken = set(broken)
        self.answered = True
        self.empty_since = now if self.empty_since is None else self.empty_since
        self.known = self.known or bool(answer)
        fresh = {place[:2] for place, version in answer.items() if self.published.get(place) != version}
        self.let_go = {place: since for place, since in self.let_go.items() if place[:2] not in fresh}
        self._take_places(answer)
        if self.is_elsewhere:
            if answer and not broken:
                self.published, self.absent, self.let_go = {}, {}, {}
                self.origin = self.endpoints
            else:
                for place in self.published.keys() - answer.keys() - self.absent.keys():
                    self.absent[place] = Absence()
        else:
            self.origin = self.endpoints
            self._judge(answer, broken, now)
        for place in self.absent.keys() & answer.keys():
            del self.absent[place]
        for place in self.let_go.keys() & answer.keys():
            del self.let_go[place]
        self.broken = broken
        self.answer = answer
        self.only_in_file -= answer.keys()
        self.published = answer | {place: self.published[place] for place in self.absent}
        if not self.is_elsewhere:
            self._release(now)

    def _take_places(self, answer: World) -> None:
        """Let new targets take the places of missing ones of the same name: those are changed, not lost."""
        missing = sorted(
            self.published.keys() - answer.keys(),
            key=lambda place: (place in self.absent, str(self.published[place]), place),
        )
        for name in {place[:2] for place in answer}:
            places = [place for place in answer.keys() - self.published.keys() if place[:2] == name]
            new = sorted(places, key=lambda place: (str(answer[place]), place))
            old = [other for other in missing if other[:2] == name]
            for place, other in zip(old, new, strict=False):
                # It still counts as published when it is judged how much was lost.
                self.published[other] = self.published.pop(place)
                self.absent.pop(place, None)
                if place in self.shown:
                    # What cannot be converted keeps what it had, its old address included.
                    self.shown[other] = self.shown.pop(place)

    def _judge(self, answer: World, broken: set[bytes], now: float) -> None:
        new = broken - self.broken
        for place, absence in list(self.absent.items()):
            if place in answer:
                del self.absent[place]
            elif absence.doubt:
                absence.doubt |= new if self.broken - broken else set()
                absence.doubt &= broken
                if not absence.doubt:
                    del self.absent[place]
            elif new and (absence.since is None or absence.since - self._since <= self.hold):
                absence.doubt = set(new)
        for absence in self.absent.values():
            absence.since = now if absence.since is None else absence.since
        self.let_go = {
            place: since for place, since in self.let_go.items() if now - since < self.hold and place not in answer
        }
        vanished = self.published.keys() - answer.keys() - self.absent.keys()
        lost = vanished | {place for place, absence in self.absent.items() if not absence.doubt} | self.let_go.keys()
        soon = now - self._since <= self.hold
        for place in vanished:
            many = self._is_too_much(lost) or self._is_too_much(lost, place[0])
            if new:
                self.absent[place] = Absence(now, set(new))
            elif self.hold > 0 and (many or soon):
                self.absent[place] = Absence(now, with_many=many)
        self.let_go |= dict.fromkeys(vanished - self.absent.keys(), now)

    def _is_too_much(self, lost: Collection[Place], mesh: str | None = None) -> bool:
        """Tell whether too many vanished, of all or of one mesh, beside what was published within the last time."""
        doubtful = {place for place, absence in self.absent.items() if absence.doubt}
        known = (self.published.keys() | lost) - doubtful
        ours = [place for place in known if mesh in (None, place[0])]
        return sum(place in lost for place in ours) > self.max_drop * len(ours)

    def tick(self, now: float, *, is_expired: bool) -> None:
        """Let time pass.

        Args:
            now: the present moment.
            is_expired: whether its targets have expired; this decides if they may have, but need not.
        """
        if self.is_in_contact:
            self._meet(now)
        may, must = (now - seen > self.max_age for seen in self.seen)
        if now - self.born > min(START_WAIT, self.max_age) and (must or (may and is_expired)):
            if self.contact is not None and self.sent is None:
                self.sent = self.answer
            self.published, self.absent, self.let_go = {}, {}, {}
        if self.is_in_contact:
            if self.sent is not None:
                # It goes on saying what it said last.
                self.published, self.sent, self.origin = self.sent, None, self.endpoints
            if not self.is_elsewhere:
                self._release(now)
            if self.empty_since is not None and now - self.empty_since >= self.hold:
                self.known = True

    def _release(self, now: float) -> None:
        for place, absence in list(self.absent.items()):
            if absence.since is not None and not absence.doubt and now - absence.since >= self.hold:
                del self.absent[place], self.published[place]

    def accept(self) -> None:
        """Let an operator say that the control plane is right."""
        for place in self.absent:
            del self.published[place]
        self.absent, self.let_go = {}, {}
        if self.answered:
            self.known, self.origin = True, self.endpoints

    def move(self, name: str, endpoints: frozenset[str], now: float) -> None:
        """Take another name or other endpoints, which is another source."""
        if (name, endpoints) != (self.name, self.endpoints):
            self.disconnect(now)
            self.lost = None
        if not endpoints & self.endpoints:
            self.answered = False
        if self.origin & endpoints:
            self.origin |= endpoints
        self.name, self.endpoints = name, endpoints

    def restart(self, now: float, clock: float) -> None:
        """Begin anew with what was saved.

        Args:
            now: the present moment.
            clock: by how much the wall clock is ahead of it.
        """
        self.disconnect(now)
        published, self.origin = self.saved or ({}, frozenset())
        self.published = published.copy()
        self.known = self.saved is not None
        if self.origin & self.endpoints:
            self.origin |= self.endpoints
        self.lost, self.born, self.answered = None, now, False
        self._begin_with(self.until if self.saved else None, now, clock)
        self.absent, self.let_go, self.broken = {}, {}, set()

    def _begin_with(self, until: tuple[float, float] | None, now: float, clock: float) -> None:
        """Continue the age by the wall clock; what lies in the future by that clock was now."""
        self.until = self.began_with = until
        self.clock_at_start = clock
        self.seen = (now, now)
        if until is not None:
            self.seen = min(now, until[0] - clock), min(now, until[1] - clock)
            if until[1] - clock - now > SAVED_AHEAD * self.max_age:
                # The clock was set back. What was saved means nothing any more.
                self.began_with = None

    def _meet(self, now: float) -> None:
        self.seen, self.began_with = (now, now), None

    def save(self, now: float, clock: float) -> None:
        """Remember what is published; also that there is nothing, if that is known.

        Args:
            now: the present moment.
            clock: by how much the wall clock is ahead of it.
        """
        if self.known:
            self.saved = self.published.copy(), self.origin
        if self.is_in_contact:
            self._meet(now)
        if self.max_age == FOREVER or clock != self.clock_at_start:
            self.began_with = None
        latest = self.seen[1] + SAVED_AHEAD * self.max_age
        self.until = None if self.max_age == FOREVER else self.began_with or (self.seen[0] + clock, latest + clock)

    def flush(self) -> None:
        """Have on disk what was saved."""
        self.on_disk = self.saved
        self.until_on_disk = self.until
        self.only_in_file_on_disk = self.only_in_file.copy()

    def crash(self, file: World) -> None:
        """Forget what is not on disk; what only the published file has is known from there."""
        known, origin = self.on_disk or ({}, frozenset())
        names = {place[:2] for place in known}
        new = {place: version for place, version in file.items() if place[:2] not in names}
        self.saved = (known | new, origin) if self.on_disk or new else None
        self.until = self.until_on_disk if self.on_disk else None
        self.only_in_file = (self.only_in_file_on_disk if self.on_disk else set()) | new.keys()
        self.name_in_file = self.name
        self.endpoints_are_known = self.endpoints_are_known and self.on_disk is not None
        self.shown = {place: (self.name, place, version) for place, version in file.items()}

    @property
    def _since(self) -> float:
        assert self.contact is not None
        return self.contact
