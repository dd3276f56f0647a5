"""The dataplanes of one control plane, recognised by their bytes: one that did not change is not converted again."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from kuma_sd_bundled.kuma_api.api_codec import DataplaneFacts, encode
from kuma_sd_bundled.kuma_api.documents import DataplaneDocument, ItemIdentity, MeshBackend, ResourceKey
from kuma_sd_bundled.kuma_api.labels import DataplaneDescription, describe

_IDENTITY = msgspec.json.Decoder(ItemIdentity)
_DATAPLANE = msgspec.json.Decoder(DataplaneDocument)

_DIGEST_SIZE = 16


class KnownDataplane(msgspec.Struct, gc=False):
    """What is kept of a dataplane between two polls.

    Args:
        key: its mesh, and its name as the API has it.
        data: what its assignment holds; shared with it, since it is most of what is kept.
        zone: its zone; empty where nothing says it.
        remote: whether it belongs to a zone of a global control plane.
        metrics: what it sets for itself (Kuma 2).
    """

    key: ResourceKey
    data: bytes
    zone: str
    remote: bool
    metrics: MeshBackend | None


@dataclass(frozen=True)
class ReadingRules:
    """How dataplanes are read.

    Args:
        service_labels: what to name a job by where the service is unknown.
        third: whether they are those of Kuma 3; None where nobody knows.
    """

    service_labels: Sequence[str]
    third: bool | None


class DataplaneReader:
    """Reads items of lists of dataplanes, and remembers those of the last round.

    Args:
        service_labels: what to name a job by where the service is unknown.
    """

    def __init__(self, service_labels: Sequence[str]) -> None:
        self._rules = ReadingRules(tuple(service_labels), third=None)
        self._known: dict[bytes, KnownDataplane] = {}
        self._round: dict[bytes, KnownDataplane] = {}
        self.converted = 0

    def begin(self, *, third: bool | None) -> None:
        """Begin a round; what the last one had is known.

        Args:
            third: whether the dataplanes are those of Kuma 3; None where nobody knows.
        """
        rules = ReadingRules(self._rules.service_labels, third)
        if rules != self._rules:
            self._rules, self._known, self._round = rules, {}, {}
        self._known |= self._round
        self._round = {}

    def end(self) -> None:
        """Forget what was not in this round."""
        self._known, self._round = self._round, {}

    def __call__(self, raw: msgspec.Raw | bytes) -> tuple[ResourceKey, KnownDataplane]:
        """Read one dataplane.

        Raises:
            msgspec.MsgspecError: not even its name can be understood.
        """
        digest = blake2b(raw, digest_size=_DIGEST_SIZE).digest()
        known = self._known.get(digest)
        if known is None:
            self.converted += 1
            known = self._read(raw)
        self._round[digest] = known
        return known.key, known

    def _read(self, raw: msgspec.Raw | bytes) -> KnownDataplane:
        try:
            dataplane = _DATAPLANE.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            # As long as it says its name, its target is known to be there.
            identity = _IDENTITY.decode(raw)
            facts = DataplaneFacts(name=identity.name, problem=str(error))
            return KnownDataplane(identity.key, encode(facts), "", remote=False, metrics=None)
        described = describe(dataplane, self._rules.service_labels, third=self._rules.third)
        return KnownDataplane(
            ResourceKey(dataplane.mesh, dataplane.name),
            encode(_facts(dataplane, described)),
            described.zone,
            remote=described.name != dataplane.name,
            metrics=dataplane.metrics,
        )


def _facts(dataplane: DataplaneDocument, described: DataplaneDescription) -> DataplaneFacts:
    networking = dataplane.networking
    return DataplaneFacts(
        name=described.name,
        host=networking.advertised_address or networking.address,
        service=described.service,
        job=described.job if described.job != described.service else "",
        labels=described.labels,
    )
