"""The promise after every sequence of events: the whole pipeline, with a clock of its own, beside a model of the laws.

How often and how long: the hypothesis profile; ``script/faults --model`` runs many more.
"""

import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as dataclass_replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from promise_model import FOREVER, START_WAIT, Place, Plane, World

from kuma_sd import Assignment, Key, Labels, Publication, Target, TargetGroup, TransformError
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Codec, ContactLost, LastGoodTargets
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.chain_outputs import SENDER, ChainOutputs
from kuma_sd.pipeline.control_plane import ControlPlaneConfig
from kuma_sd.pipeline.ends_after_sleep import LOOK_AGAIN_SECONDS
from kuma_sd.pipeline.messages import Accept, Configuration, FromSource, Message
from kuma_sd.pipeline.pipeline import Pipeline, Saving
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.runtime.restore_from_published import PUBLISHED, completed
from kuma_sd.state import snapshot_file
from kuma_sd.state.restorer import Restored
from kuma_sd.testing import CODEC, assignment, snapshot

DEFAULT_RUNS = 300
RUNS = int(os.environ.get("KUMA_SD_MODEL_RUNS", DEFAULT_RUNS))
STEPS = 60

NAMES = ("east", "west", "settings", "beat")
ENDPOINTS = ("a:1", "b:1", "c:1", "d:1")
SAVED_WITHIN_SECONDS = 1.0

PLACES: list[Place] = [("big", f"t{number}", "192.0.2.1:1") for number in range(7)]
PLACES += [("small", f"s{number}", "192.0.2.1:1") for number in range(3)]
PLACES += [("big", "db", f"192.0.2.{number}:1") for number in (2, 3, 4)]

worlds = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 2)) | st.just(dict.fromkeys(PLACES, 0))
broken_sets = st.sets(st.sampled_from([b"x", b"y"]), max_size=2)
pauses = st.sampled_from([0.5, 1.0, 20.0, 29.0, 45.0, 61.0, 119.0, 120.0, 121.0, 500.0])
short_lives = st.sampled_from([0.5, 20.0, 40.0, 61.0])
clocks = st.sampled_from([0.0, 86_400.0, -86_400.0])
max_ages = st.sampled_from([60.0, FOREVER])
which = st.integers(0, 5)


class CodecOfSources:
    """Reads targets as codecs of sources do: which control plane it is, the key says."""

    name = "of sources"

    def read(self, key: Key, data: bytes) -> Target:
        return replace(CODEC.read(key, data), control_plane=key.control_plane)


READER = CodecOfSources()
CODECS: dict[str, Codec] = {codec.name: codec for codec in (READER, PUBLISHED)}


def built(name: str, world: World) -> list[Assignment]:
    """Return assignments as a source makes them: namesakes are numbered in the order of their bytes."""
    plain = [
        assignment(place[1], mesh=place[0], address=place[2], service=str(version), labels={})
        for place, version in world.items()
    ]
    ordinals: Counter[tuple[str, str]] = Counter()
    result = []
    for entry in sorted(plain):
        namesakes = entry.key.mesh, entry.key.name
        result.append(Assignment(Key(name, *namesakes, ordinals[namesakes]), entry.data, READER))
        ordinals[namesakes] += 1
    return result


@dataclass(eq=False)
class Written:
    """An output, and what is in its file.

    Args:
        name: in the settings.
        chain: the name of its chain.
        targets: what is in its file; None while there is none.
        groups: the same, as it was published.
        names: which control planes the names in its file mean.
    """

    name: str
    chain: str
    works: bool = True
    mailbox: Mailbox[Publication] = field(default_factory=Mailbox)
    targets: set[tuple[str, Place, int]] | None = None
    groups: Sequence[TargetGroup] = ()
    names: dict[str, Plane] = field(default_factory=dict)

    @property
    def by_key(self) -> dict[Key, TargetGroup]:
        """The groups in its file, numbered as they are read back: a file says neither ordinals nor whose they are."""
        found, ordinals = dict[Key, TargetGroup](), Counter[Key]()
        for group in self.groups:
            name = replace(group.key.assignment, ordinal=0)
            found[replace(name, ordinal=ordinals[name])] = group
            ordinals[name] += 1
        return found


class Promise(RuleBasedStateMachine):
    """Events in any order; after each, what is published is what the laws say."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.clock_is_ahead = 0.0
        self.sources = 0
        self.planes: list[Plane] = []
        self.leaving: list[Plane] = []
        self.left: list[Plane] = []
        self.instead: list[Plane] = []
        self.patience_ends = FOREVER
        self.source_of: dict[tuple[str, frozenset[str]], int] = {}
        self.old_sources: list[tuple[int, str]] = []
        self.unsaved: dict[str, bytes | None] = {}
        self.disk: dict[str, bytes] = {}
        self.removed: dict[str, bytes] = {}
        self.outputs = [Written("out", "")]
        self.outputs_so_far = 1
        self.names_on_disk: dict[str, Plane] = {}
        self.expected: set[tuple[str, Place, int]] | None = None
        self.failing: set[str] = set()

    # The machine: what is run, and how it is told what happens.

    @initialize(
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
        unnamed=st.booleans(),
        max_age=max_ages,
    )
    def start(self, names: list[str], *, unnamed: bool, max_age: float) -> None:
        chosen = ["", *names[1:]] if unnamed else names
        self.planes = [
            Plane(name, frozenset({endpoint}), max_age=max_age, born=self.now)
            for name, endpoint in zip(chosen, ENDPOINTS, strict=False)
        ]
        self._leave([], self.planes)
        self._boot()

    def _boot(self, *, exact: bool = True) -> None:
        self.started = self.now
        self.opened = False
        for output in self.outputs:
            output.mailbox = Mailbox()
        self.pipeline = Pipeline(
            self.now, Saving(self._save, self._forget), wall=lambda: self.now + self.clock_is_ahead
        )
        self.chains = {output.chain: self._new_chain() for output in self.outputs}
        stopped = self.now if exact else None
        restored = Restored(tuple(self._read(self.disk)), tuple(self._read(self.removed)), stopped)
        configuration = self._configuration()
        restored = completed(restored, configuration.control_planes, lambda: self.first.by_key)
        self.pipeline.begin(restored, configuration, self.now)
        self._step()

    @property
    def first(self) -> Written:
        """The output whose file is the memory after a crash."""
        return self.outputs[0]

    def _new_chain(self) -> Chain:
        failing = frozenset(self.failing)

        def fail(labels: Labels, target: Target) -> list[Labels]:
            if target.name in failing:
                raise TransformError("it fails")
            return [labels]

        return Chain(LabelProfile("kuma-prometheus-sd"), [fail])

    def _configuration(self) -> Configuration:
        chains = [self._chain_outputs(name) for name in dict.fromkeys(output.chain for output in self.outputs)]
        return Configuration([self._config(plane) for plane in self.planes], chains, START_WAIT)

    def _chain_outputs(self, chain: str) -> ChainOutputs:
        outputs = [output for output in self.outputs if output.chain == chain]
        groups = outputs[0].by_key
        return ChainOutputs(self.chains[chain], {output.name: output.mailbox for output in outputs}, lambda: groups)

    def _config(self, plane: Plane) -> ControlPlaneConfig:
        return ControlPlaneConfig(
            name=plane.name,
            title=plane.name,
            endpoints=plane.endpoints,
            source=self._source(plane),
            max_drop=plane.max_drop,
            hold=plane.hold,
            max_age=plane.max_age,
            start_wait=START_WAIT,
            age=plane.age,
        )

    def _source(self, plane: Plane) -> int:
        identity = plane.name, plane.endpoints
        if identity not in self.source_of:
            self.sources += 1
            self.source_of[identity] = self.sources
        return self.source_of[identity]

    def _save(self, last_good: LastGoodTargets) -> None:
        content = snapshot_file.write_last_good(last_good, last_good.file, lambda _checksum: None)
        self.unsaved[last_good.file] = b"".join(content)

    def _forget(self, file: str) -> None:
        if content := self.unsaved.get(file):
            # It is set aside as it was published last.
            self.disk[file] = content
        self.unsaved[file] = None

    def _flush(self) -> None:
        """Let the state be written, which takes a second."""
        for file, content in self.unsaved.items():
            if content is not None:
                self.disk[file] = content
            elif file in self.disk:
                self.removed[file] = self.disk.pop(file)
        self.unsaved = {}
        self.names_on_disk = self.first.names
        for plane in [*self.planes, *self.leaving]:
            plane.flush()
        for plane in self.left:
            plane.on_disk = None

    def _read(self, files: dict[str, bytes]) -> Iterable[LastGoodTargets]:
        for file, content in files.items():
            yield snapshot_file.read_last_good(io.BytesIO(content), file, CODECS.__getitem__)

    def _step(self, *messages: Message) -> None:
        self.pipeline.step(messages, self.now)
        for plane in self.planes:
            plane.tick(self.now, is_expired=self.pipeline.control_planes.configured[plane.name].expired)
        self._dismiss()
        every = [*self.planes, *self.leaving]
        if not self.opened:
            known = [plane.known for plane in every]
            waited = self.now >= self.started + START_WAIT
            self.opened = all(plane.known for plane in self.planes) or (waited and any(known))
        if self.opened:
            self.expected = self._shown(every)
        for plane in every:
            if self.opened or plane.saved is not None:
                plane.save(self.now, self.clock_is_ahead)
        for output in self.outputs:
            if output.works:
                self._look(output)

    def _look(self, output: Written) -> None:
        publication = output.mailbox.take(0).get(SENDER)
        if publication is not None:
            output.targets = {self._fact(group) for group in publication.groups}
            output.groups = publication.groups
            output.names = self._names
            assert len(output.targets) == len(publication.groups), "a target is published twice"

    def _fact(self, group: TargetGroup) -> tuple[str, Place, int]:
        labels = group.labels
        place = labels["mesh"], labels["dataplane"], group.targets[0]
        return group.key.assignment.control_plane, place, int(labels["service"])

    def _shown(self, every: list[Plane]) -> set[tuple[str, Place, int]]:
        """Return what is published: what cannot be converted as it was before."""
        facts = set()
        for plane in every:
            shown = {}
            for place, version in plane.published.items():
                if place[1] not in self.failing and place not in plane.only_in_file:
                    shown[place] = (plane.name, place, version)
                elif place in plane.shown:
                    shown[place] = (plane.name, *plane.shown[place][1:])
            plane.shown = shown
            facts |= set(shown.values())
        return facts

    def _dismiss(self) -> None:
        if self.leaving:
            answered = all(plane.known for plane in self.instead)
            some = any(plane.published for plane in self.instead)
            if answered or (self.now >= self.patience_ends and some):
                self.left += self.leaving
                self.leaving, self.instead = [], []

    # What control planes do.

    def _pick(self, number: int) -> Plane:
        return self.planes[number % len(self.planes)]

    @rule(number=which, world=worlds)
    def answers(self, number: int, world: World) -> None:
        self._answer(self._pick(number), world, ())

    @rule(number=which, gone=st.sets(st.sampled_from(PLACES), max_size=3))
    def loses_a_few(self, number: int, gone: set[Place]) -> None:
        plane = self._pick(number)
        self._answer(plane, {place: version for place, version in plane.answer.items() if place not in gone}, ())

    @rule(number=which)
    def is_empty(self, number: int) -> None:
        self._answer(self._pick(number), {}, ())

    @rule(number=which, gone=st.sets(st.sampled_from(PLACES), max_size=2), broken=broken_sets)
    def sends_something_broken(self, number: int, gone: set[Place], broken: set[bytes]) -> None:
        plane = self._pick(number)
        self._answer(plane, {place: version for place, version in plane.answer.items() if place not in gone}, broken)

    def _answer(self, plane: Plane, world: World, broken: Iterable[bytes]) -> None:
        if not world and broken:
            # Of which nothing can be read: the connection has failed.
            self._disconnect(plane)
            return
        if plane.contact is None:
            plane.connect(self.now)
        assert plane.contact is not None
        plane.take(world, broken, self.now)
        answer = snapshot(
            *built(plane.name, world),
            control_plane=plane.name,
            received=self.now + self.clock_is_ahead,
            connected=plane.contact,
            unreadable=broken,
        )
        answer = dataclass_replace(answer, unbroken_since=plane.unbroken_since)
        self._step(FromSource(self._source(plane), answer))

    @rule(number=which)
    def loses_contact(self, number: int) -> None:
        self._disconnect(self._pick(number))

    def _disconnect(self, plane: Plane) -> None:
        plane.disconnect(self.now)
        self._step(FromSource(self._source(plane), ContactLost(plane.name, self.now)))
        # So that no contact begins in the moment in which another one ended.
        self.now += 0.001

    @rule(number=which, world=worlds, goes_on=st.booleans())
    def breaks_off_and_is_back_at_once(self, number: int, world: World, *, goes_on: bool) -> None:
        plane = self._pick(number)
        if plane.is_in_contact:
            plane.break_off(self.now)
            self._answer(plane, plane.answer if goes_on else world, ())

    @rule(number=which, pause=pauses, goes_on=st.booleans())
    def is_silent(self, number: int, pause: float, *, goes_on: bool) -> None:
        plane = self._pick(number)
        if plane.is_in_contact:
            plane.silent = self.now
            self.time_passes(pause)
            if goes_on:
                # As a poll does that says that nothing changed.
                plane.silent = None
                self._step()

    @rule(number=which, world=worlds)
    def of_a_replaced_source_comes_late(self, number: int, world: World) -> None:
        if self.old_sources:
            source, name = self.old_sources[number % len(self.old_sources)]
            late = snapshot(*built(name, world), control_plane=name, connected=self.now)
            self._step(FromSource(source, late))

    # What time and operators do.

    @rule(pause=pauses)
    def time_passes(self, pause: float) -> None:
        # As the pipeline does, it is looked whenever something is due.
        end = self.now + pause
        while (due := max(self.pipeline.deadline(self.now), self.now)) < end:
            self.now = due + 0.0001
            self._step()
        self.now = end
        self._step()
        if pause >= SAVED_WITHIN_SECONDS:
            self._flush()

    @rule(seconds=clocks)
    def the_clock_jumps(self, seconds: float) -> None:
        self.clock_is_ahead = seconds
        self._step()

    @rule()
    def somebody_accepts_all(self) -> None:
        for plane in self.planes:
            plane.accept()
        self._step(Accept())

    @rule(number=which)
    def somebody_accepts_one(self, number: int) -> None:
        plane = self._pick(number)
        plane.accept()
        self._step(Accept(plane.name))

    # What a reload does, or settings that are changed while nothing runs.

    @rule(number=which)
    def has_another_token(self, number: int) -> None:
        plane = self._pick(number)
        self.old_sources.append((self._source(plane), plane.name))
        self.source_of.pop((plane.name, plane.endpoints))
        plane.disconnect(self.now)
        plane.lost = None
        self._step(self._configuration())

    @rule(number=which, name=st.sampled_from(NAMES), restarted=st.booleans())
    def is_renamed(self, number: int, name: str, *, restarted: bool) -> None:
        if all(plane.name != name for plane in [*self.planes, *self.leaving, *self.left]) and not self._is_in_file(
            name
        ):
            plane = self._pick(number)
            self._move((plane, name, plane.endpoints), restarted=restarted)

    @rule(number=which, endpoint=st.sampled_from(ENDPOINTS), restarted=st.booleans())
    def gets_another_address(self, number: int, endpoint: str, *, restarted: bool) -> None:
        plane = self._pick(number)
        others = [other for other in [*self.planes, *self.leaving, *self.left] if other is not plane]
        if all(endpoint not in other.endpoints | other.origin for other in others):
            self._move((plane, plane.name, frozenset({endpoint})), restarted=restarted)

    @rule(number=which, endpoint=st.sampled_from(ENDPOINTS), restarted=st.booleans())
    def gets_a_replica_more(self, number: int, endpoint: str, *, restarted: bool) -> None:
        plane = self._pick(number)
        others = [other for other in [*self.planes, *self.leaving, *self.left] if other is not plane]
        if all(endpoint not in other.endpoints | other.origin for other in others):
            self._move((plane, plane.name, plane.endpoints | {endpoint}), restarted=restarted)

    @precondition(lambda self: len(self.planes) > 1)
    @rule(restarted=st.booleans())
    def two_swap_their_names(self, *, restarted: bool) -> None:
        first, second = self.planes[:2]
        if not (first.is_elsewhere or second.is_elsewhere or first.only_in_file or second.only_in_file):
            self._move(
                (first, second.name, first.endpoints), (second, first.name, second.endpoints), restarted=restarted
            )

    def _move(self, *moves: tuple[Plane, str, frozenset[str]], restarted: bool) -> None:
        if restarted:
            self._stop()
        for plane, name, endpoints in moves:
            if (name, endpoints) != (plane.name, plane.endpoints):
                self.old_sources.append((self._source(plane), plane.name))
                self.source_of.pop((plane.name, plane.endpoints))
            plane.move(name, endpoints, self.now)
        self._go_on(restarted=restarted)

    @precondition(lambda self: len(self.planes) > 1)
    @rule(number=which, restarted=st.booleans())
    def is_removed(self, number: int, *, restarted: bool) -> None:
        if restarted:
            self._stop()
        plane = self._pick(number)
        self.planes.remove(plane)
        self._leave([plane], [])
        self._go_on(restarted=restarted)

    @precondition(lambda self: len(self.planes) < 3)
    @rule(name=st.sampled_from(NAMES), endpoint=st.sampled_from(ENDPOINTS))
    def is_added(self, name: str, endpoint: str) -> None:
        if self._is_free(name, endpoint):
            plane = Plane(name, frozenset({endpoint}), born=self.now)
            self.planes.append(plane)
            self._leave([], [plane])
            self._go_on(restarted=False)

    @rule(name=st.sampled_from(NAMES), endpoint=st.sampled_from(ENDPOINTS), restarted=st.booleans())
    def another_one_comes_instead_of_all(self, name: str, endpoint: str, *, restarted: bool) -> None:
        if self._is_free(name, endpoint):
            if restarted:
                self._stop()
            plane = Plane(name, frozenset({endpoint}), born=self.now)
            gone, self.planes = self.planes, [plane]
            self._leave(gone, [plane])
            self._go_on(restarted=restarted)

    def _is_free(self, name: str, endpoint: str) -> bool:
        every = [*self.planes, *self.leaving, *self.left]
        taken = any(name == other.name or endpoint in other.endpoints | other.origin for other in every)
        return not (taken or self._is_in_file(name))

    def _is_in_file(self, name: str) -> bool:
        """Tell whether a name stays in labels that are known from the file alone: equal targets would be one."""
        return any(plane.only_in_file and name == plane.name_in_file for plane in [*self.planes, *self.leaving])

    def _leave(self, gone: list[Plane], new: list[Plane]) -> None:
        for plane in gone:
            self.old_sources.append((self._source(plane), plane.name))
            self.source_of.pop((plane.name, plane.endpoints))
        if self.now >= self.patience_ends and not self.leaving:
            self.instead = []
        self.leaving += gone
        self.instead = [plane for plane in self.instead if plane in self.planes] + new
        if new:
            self.patience_ends = self.now + START_WAIT

    def _go_on(self, *, restarted: bool) -> None:
        if restarted:
            self._restart()
        else:
            self._dismiss()
            self._step(self._configuration())
            # That it crashes within the second after a reload is not tried.
            self._flush()

    @rule(hold=st.sampled_from([0.0, 20.0, 120.0, FOREVER]), max_drop=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    def the_guard_gets_other_options(self, hold: float, max_drop: float) -> None:
        for plane in self.planes:
            plane.hold, plane.max_drop = hold, max_drop
        self._step_late(self._configuration())

    def _step_late(self, message: Message) -> None:
        """Let what is suddenly due happen late, as after a suspend: a loss of contact may be known a moment later."""
        self.pipeline.step([message], self.now)
        self.now += LOOK_AGAIN_SECONDS + 0.001
        self._step()

    @rule(max_age=max_ages)
    def targets_may_be_so_old(self, max_age: float) -> None:
        for plane in self.planes:
            plane.max_age = max_age
        self._step_late(self._configuration())

    @rule(failing=st.sets(st.sampled_from(["t0", "t1", "s0", "db"]), max_size=2))
    def the_chain_is_another_one(self, failing: set[str]) -> None:
        self.failing = failing
        self.chains = {output.chain: self._new_chain() for output in self.outputs}
        self._step(self._configuration())

    # One that was never published to has nothing to keep at a restart.
    @precondition(lambda self: len(self.outputs) == 1 and self.opened)
    @rule(has_own_chain=st.booleans())
    def an_output_is_added(self, *, has_own_chain: bool) -> None:
        self.outputs_so_far += 1
        name = f"out {self.outputs_so_far}"
        output = Written(name, name if has_own_chain else self.first.chain)
        self.outputs.append(output)
        self.chains.setdefault(output.chain, self._new_chain())
        self._step(self._configuration())

    @precondition(lambda self: len(self.outputs) > 1)
    @rule(number=which)
    def an_output_is_removed(self, number: int) -> None:
        for output in self.outputs:
            self._work_again(output)
        output = self.outputs[number % len(self.outputs)]
        # After a crash, the file of the other one is the memory.
        if all(other.targets is not None for other in self.outputs):
            self.outputs.remove(output)
            self._step(self._configuration())

    @precondition(lambda self: len(self.outputs) > 1)
    @rule()
    def outputs_swap_their_files(self) -> None:
        for output in self.outputs:
            self._work_again(output)
        first, second = self.outputs
        self.outputs = [
            Written(first.name, first.chain, targets=second.targets, groups=second.groups, names=second.names),
            Written(second.name, second.chain, targets=first.targets, groups=first.groups, names=first.names),
        ]
        self._step(self._configuration())

    # What the disk and the process do.

    @rule(number=which)
    def an_output_fails(self, number: int) -> None:
        self.outputs[number % len(self.outputs)].works = False

    @rule(number=which)
    def an_output_works_again(self, number: int) -> None:
        self._work_again(self.outputs[number % len(self.outputs)])

    def _work_again(self, output: Written) -> None:
        output.works = True
        self._look(output)

    @rule(stopped_for=st.just(0.0) | pauses)
    def it_is_restarted(self, stopped_for: float) -> None:
        self._stop()
        self.now += stopped_for
        self._restart()

    @rule(lives=st.lists(st.tuples(short_lives, short_lives), min_size=1, max_size=3))
    def it_is_restarted_while_all_are_away(self, lives: list[tuple[float, float]]) -> None:
        for plane in self.planes:
            self._disconnect(plane)
        for stopped_for, lives_for in lives:
            self.it_is_restarted(stopped_for)
            self.time_passes(lives_for)
            self.what_is_published_is_what_the_laws_say()

    @rule(clock=clocks)
    def it_is_restarted_with_another_clock(self, clock: float) -> None:
        self._stop()
        self.clock_is_ahead = clock
        self._restart()

    def _stop(self) -> None:
        for output in self.outputs:
            self._work_again(output)
        self._flush()

    @precondition(lambda self: self._has_usual_names_in_its_file)
    @rule(stopped_for=st.just(0.0) | pauses)
    def it_crashes(self, stopped_for: float) -> None:
        self.unsaved = {}
        self.now += stopped_for
        self._forget_what_is_not_on_disk()

    @precondition(lambda self: self._has_usual_names_in_its_file)
    @rule()
    def its_state_is_lost(self) -> None:
        self._stop()
        self.disk, self.removed, self.left = {}, {}, []
        for plane in [*self.planes, *self.leaving]:
            plane.on_disk = None
        self._forget_what_is_not_on_disk()

    @precondition(lambda self: self._has_usual_names_in_its_file)
    @rule(number=which)
    def the_saved_file_of_one_is_lost(self, number: int) -> None:
        self._stop()
        plane = self._pick(number)
        for saved in list(self._read(self.disk)):
            if saved.name == plane.name:
                del self.disk[saved.file]
        plane.on_disk = None
        plane.crash(self._in_file(plane))
        self._restart()

    def _forget_what_is_not_on_disk(self) -> None:
        # That these may go was decided in the last second, and is not on disk.
        self.leaving += [plane for plane in self.left if plane.on_disk is not None]
        self.left = [plane for plane in self.left if plane.on_disk is None]
        for plane in [*self.planes, *self.leaving]:
            plane.crash(self._in_file(plane))
        # The settings name no other output any more.
        self.outputs = [self.first]
        self.first.works, self.expected = True, self.first.targets
        self._restart(exact=False)

    def _in_file(self, plane: Plane) -> dict[Place, int]:
        return {place: version for name, place, version in self.first.targets or () if name == plane.name}

    @property
    def _has_usual_names_in_its_file(self) -> bool:
        """Whether it has no namesakes, which a file does not number, nor names that mean nothing or another one now."""
        names = self._names
        return all(
            name in names
            and names[name] is self.first.names[name] is self.names_on_disk.get(name, names[name])
            and place[1] != "db"
            for name, place, _ in self.first.targets or ()
        )

    @property
    def _names(self) -> dict[str, Plane]:
        return {plane.name: plane for plane in [*self.planes, *self.leaving]}

    def _restart(self, *, exact: bool = True) -> None:
        self.leaving = [plane for plane in self.leaving if plane.saved is not None]
        for plane in [*self.planes, *self.leaving]:
            plane.restart(self.now, self.clock_is_ahead)
        for plane in self.planes:
            plane.endpoints_are_known = True
        self.instead = [plane for plane in self.planes if not plane.known]
        # One of which nothing is known but what it published may be any new one.
        if len(self.instead) == 1 and len(self.leaving) == 1 and not self.leaving[0].endpoints_are_known:
            self._become(self.instead[0], self.leaving[0])
        self.patience_ends = self.now + START_WAIT
        self._dismiss()
        self._boot(exact=exact)

    def _become(self, plane: Plane, other: Plane) -> None:
        """Let a new one go on where another one left."""
        self.leaving, self.instead = [], []
        plane.published, plane.origin, plane.known = other.published, other.origin, True
        plane.saved = plane.published.copy(), plane.origin
        plane.only_in_file, plane.name_in_file = other.only_in_file, other.name_in_file
        plane.shown = {place: (plane.name, *fact[1:]) for place, fact in other.shown.items()}

    @invariant()
    def what_is_published_is_what_the_laws_say(self) -> None:
        for output in self.outputs:
            is_new = output.targets is None and not self.opened
            if output.works and self.planes and not (is_new and output is not self.first):
                assert output.targets == self.expected, output.name


# The same sequences in every run of the tests, which say whether a change broke something; `script/faults --model`
# looks for new ones.
Promise.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=RUNS == DEFAULT_RUNS,
    suppress_health_check=list(HealthCheck),
)

TestPromise = pytest.mark.timeout(0)(Promise.TestCase)
